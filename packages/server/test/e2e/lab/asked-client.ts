import { createConnection } from "node:net";
import { join } from "node:path";
import { until } from "../../waiting.ts";
import type { Client, ClientOptions, Lab } from "../lab.ts";

/** A question that the client put to its user, as its management interface words it. */
export type Asked = { kind: "credentials" | "static" | "dynamic" | "text"; text: string; echo: boolean };

/** What the person does: the next answer to a question, or nothing. */
export type Person = {
  user: string;
  password: string;
  /** Answers to challenges, in order. */
  answers: string[];
};

export type AskedClient = Client & {
  /** Every question so far, in order. */
  asked(): readonly Asked[];
  /** Has the client begin anew, as when the network changed. */
  reconnect(): void;
};

/**
 * A stock openvpn client whose user sits at its management interface and answers what it asks. `canBeAsked` makes it
 * say that it takes questions on the tunnel (CR_TEXT), as graphical clients do.
 */
export async function askedClient(
  lab: Lab,
  options: Omit<ClientOptions, "user" | "password"> & { person: Person; canBeAsked?: boolean },
): Promise<AskedClient> {
  const { person, canBeAsked = false, extra = [], ...rest } = options;
  const socketPath = join(lab.directory, `asked-${Math.random().toString(36).slice(2, 10)}.sock`);
  const client = await lab.client({
    ...rest,
    extra: [
      ...["--management", socketPath, "unix", "--management-query-passwords", "--auth-retry", "interact"],
      ...(canBeAsked ? ["--setenv", "IV_SSO", "crtext"] : ["--setenv", "IV_SSO", "none"]),
      ...extra,
    ],
  });
  await until("the client's management socket", () => /MANAGEMENT: unix domain socket listening/.test(client.log()));
  const socket = createConnection(socketPath);
  socket.on("error", () => {});
  const asked: Asked[] = [];
  let pendingState: string | undefined;
  const send = (...lines: string[]) => void socket.write(lines.map((line) => `${line}\n`).join(""));
  const quoted = (text: string) => `"${text.replaceAll(/["\\]/g, "\\$&")}"`;
  const nextAnswer = () => person.answers.shift() ?? "";

  const onLine = (line: string) => {
    const failed = /^>PASSWORD:Verification Failed: 'Auth' \['CRV1:([^:]*):([^:]*):([^:]*):(.*)'\]$/.exec(line);
    if (failed) {
      const [, flags = "", state = "", , text = ""] = failed;
      pendingState = state;
      asked.push({ kind: "dynamic", text, echo: flags.includes("E") });
      return;
    }
    const need = /^>PASSWORD:Need 'Auth' username\/password(?: SC:(\d),(.*))?$/.exec(line);
    if (need) {
      const [, flags, text = ""] = need;
      let password = person.password;
      if (pendingState !== undefined) {
        password = `CRV1::${pendingState}::${nextAnswer()}`;
        pendingState = undefined;
      } else if (flags !== undefined) {
        asked.push({ kind: "static", text, echo: (Number(flags) & 1) === 1 });
        const b64 = (value: string) => Buffer.from(value).toString("base64");
        password = `SCRV1:${b64(password)}:${b64(nextAnswer())}`;
      } else {
        asked.push({ kind: "credentials", text: "", echo: false });
      }
      send(`username "Auth" ${quoted(person.user)}`, `password "Auth" ${quoted(password)}`);
      return;
    }
    const crText = /^>INFOMSG:CR_TEXT:([^:]*):(.*)$/.exec(line);
    if (crText) {
      asked.push({ kind: "text", text: crText[2] ?? "", echo: (crText[1] ?? "").includes("E") });
      send(`cr-response ${Buffer.from(nextAnswer()).toString("base64")}`);
    }
  };
  let unread = "";
  socket.on("data", (bytes) => {
    const lines = (unread + bytes.toString("utf8")).split(/\r?\n/);
    unread = lines.pop() ?? "";
    for (const line of lines) onLine(line);
  });
  return {
    ...client,
    asked: () => asked,
    reconnect: () => send("signal SIGUSR1"),
    stop: async () => {
      await client.stop();
      socket.destroy();
    },
  };
}
