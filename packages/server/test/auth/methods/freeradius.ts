import { createSocket } from "node:dgram";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Child, startChild } from "../../e2e/lab/child.ts";
import { until } from "../../waiting.ts";
import { startedAtLast } from "./slapd.ts";

export const secret = "a shared secret";

/** A real FreeRADIUS with a configuration of its own on loopback ports of its own. */
export type FreeRadius = {
  port: number;
  accountingPort: number;
  child: Child;
  /** The accounting packets it noted, as it understood them. */
  accounted(): Promise<string>;
  stop(): Promise<void>;
};

async function freeUdpPort(): Promise<number> {
  const socket = createSocket("udp4");
  await new Promise<void>((bound) => socket.bind(0, "127.0.0.1", bound));
  const { port } = socket.address();
  await new Promise<void>((closed) => socket.close(() => closed()));
  return port;
}

export const startFreeRadius = (options: Parameters<typeof tryToStart>[0]) => startedAtLast(() => tryToStart(options));

/** What it answers: see the users below; `carol` and `dave` are asked a further question. */
async function tryToStart(options: {
  /** FreeRADIUS 3.2.1 sends none by itself. */
  messageAuthenticator: boolean;
  /** The secret it knows for us. */
  secret?: string;
  /** The words that start it in another place: a network namespace, whose loopback is another. */
  startedBy?: (words: readonly string[]) => readonly string[];
}): Promise<FreeRadius> {
  const directory = await mkdtemp(join(tmpdir(), "freeradius-"));
  await chmod(directory, 0o700);
  await mkdir(join(directory, "log"));
  const port = await freeUdpPort();
  const accountingPort = await freeUdpPort();
  const file = (name: string, text: string) => writeFile(join(directory, name), text);
  await file("dictionary", "");
  await file("users", users);
  await file(
    "radiusd.conf",
    configuration({ ...options, directory, port, accountingPort, secret: options.secret ?? secret }),
  );
  const words = ["/usr/sbin/freeradius", "-f", "-x", "-x", "-l", "stdout", "-d", directory];
  const child = await startChild(options.startedBy?.(words) ?? words);
  const stop = async () => {
    child.signal("SIGCONT");
    await child.end("SIGTERM", 5_000);
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await until("FreeRADIUS serves", () => {
      if (child.exited()) throw new Error(`FreeRADIUS ended: ${child.output()}`);
      return child.output().includes("Ready to process requests");
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    port,
    accountingPort,
    child,
    accounted: () => readFile(join(directory, "log", "accounting"), "utf8").catch(() => ""),
    stop,
  };
}

const users = `
alice Cleartext-Password := "wonder land"
  Reply-Message = "Hello alice",
  Class = "engineers",
  Framed-IP-Address = 10.42.0.7,
  Session-Timeout = 3600,
  Filter-Id = "one",
  Filter-Id += "two",
  Cisco-AVPair = "shell:priv-lvl=15"

bob Cleartext-Password := "builder"

"Zoë" Cleartext-Password := "pässwörd"

locked Auth-Type := Reject
  Reply-Message = "Your account is locked"

carol Cleartext-Password := "first", Auth-Type := Ask
dave Cleartext-Password := "first", Auth-Type := Ask
`;

function configuration(options: {
  directory: string;
  port: number;
  accountingPort: number;
  messageAuthenticator: boolean;
  secret: string;
}): string {
  const { directory, port, accountingPort } = options;
  const sign = options.messageAuthenticator ? "update reply {\nMessage-Authenticator := 0x00\n}" : "";
  return `
prefix = /usr
name = sallyport-test
libdir = /usr/lib/freeradius
logdir = ${directory}/log
run_dir = ${directory}
pidfile = ${directory}/pid
max_requests = 16384
cleanup_delay = 5
max_request_time = 30
security {
  reject_delay = 0
  status_server = no
}
proxy_requests = no
thread pool {
  start_servers = 2
  max_servers = 4
  min_spare_servers = 1
  max_spare_servers = 2
}
client test {
  ipaddr = 127.0.0.1
  secret = "${options.secret}"
  require_message_authenticator = yes
}
modules {
  files {
    usersfile = ${directory}/users
  }
  pap {
  }
  chap {
  }
  mschap {
  }
  always reject {
    rcode = reject
  }
  always ok {
    rcode = ok
  }
  detail {
    filename = ${directory}/log/accounting
  }
}
server default {
  listen {
    type = auth
    ipaddr = 127.0.0.1
    port = ${port}
  }
  listen {
    type = acct
    ipaddr = 127.0.0.1
    port = ${accountingPort}
  }
  authorize {
    if (&NAS-Port-Type != Virtual || !&NAS-Identifier) {
      reject
    }
    chap
    mschap
    files
    pap
  }
  authenticate {
    Auth-Type PAP {
      pap
    }
    Auth-Type CHAP {
      chap
    }
    Auth-Type MS-CHAP {
      mschap
    }
    Auth-Type Ask {
      if (!&State) {
        pap
        if (ok) {
          update reply {
            Reply-Message := "Code for %{User-Name} at %{Calling-Station-Id}:"
            State := 0x00ff73746570
          }
          if (&User-Name == "dave") {
            update reply {
              Prompt := Echo
            }
          }
          update control {
            Response-Packet-Type := Access-Challenge
          }
        }
      }
      elsif (&State == 0x00ff73746570 && &User-Password == "424242") {
        ok
      }
      else {
        reject
      }
    }
  }
  post-auth {
    ${sign}
    Post-Auth-Type REJECT {
      ${sign}
    }
    Post-Auth-Type Challenge {
      ${sign}
    }
  }
  accounting {
    detail
  }
}
`;
}
