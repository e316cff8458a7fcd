import { type ConfigOption, readConfigOptions } from "./config-lines.ts";
import { judgeAddresses } from "./judge-addresses.ts";
import type { JudgedProfile, Judgement } from "./judgement.ts";

type Look = {
  options: readonly ConfigOption[];
  /** The last of that name: OpenVPN lets it win. */
  last(name: string): ConfigOption | undefined;
  profile: JudgedProfile;
};

/**
 * Holds the configuration file of a server that somebody else runs (OpenVPN 2.5 or 2.6) against what a profile with
 * `attach` needs of it. In the order of lines; what is missing comes first.
 */
export function judgeServerConfig(text: string, profile: JudgedProfile): Judgement[] {
  const options = readConfigOptions(text);
  const last = (name: string) => options.findLast((option) => option.name === name);
  const look: Look = { options, last, profile };
  const found = [...judgeMode(look), ...judgeManagement(look), ...judgeClients(look), ...judgePresence(look)];
  found.push(...judgeAddresses(options, profile));
  return found.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0));
}

function missing(id: string, what: string, next: string | null, state: Judgement["state"] = "fault"): Judgement {
  return { id, line: null, state, what, next };
}

function at(option: ConfigOption, id: string, state: Judgement["state"], what: string, next: string | null): Judgement {
  return { id, line: option.line, state, what, next };
}

function judgeMode({ last, options }: Look): Judgement[] {
  const found: Judgement[] = [];
  if (last("server") === undefined && last("mode")?.words[0] !== "server") {
    found.push(missing("server", "this is not a server's configuration", "Add: server NETWORK NETMASK nopool"));
  }
  const device = last("dev-type") ?? last("dev");
  const bridge = last("server-bridge");
  if (device?.words[0]?.startsWith("tap") || bridge !== undefined) {
    const option = bridge ?? (device as ConfigOption);
    const next = "Use dev tun; a bridged network (tap) cannot be driven.";
    found.push(at(option, "dev", "fault", "Sallyport gives out addresses of a routed network", next));
  }
  const topology = last("topology");
  const words = "clients are given addresses as topology subnet has them, and the server does not use it";
  if (topology === undefined) found.push(missing("topology", words, "Add: topology subnet"));
  else if (topology.words[0] !== "subnet")
    found.push(at(topology, "topology", "fault", words, "Write: topology subnet"));
  for (const option of options.filter(({ name }) => name === "config")) {
    const what = `${option.words[0]} is read in here, and was not looked at`;
    found.push(at(option, "config", "warning", what, "Check that file too, with --openvpn-config."));
  }
  return found;
}

function judgeManagement({ last, profile }: Look): Judgement[] {
  const found: Judgement[] = [];
  const { management, passwordFile } = profile;
  const wanted = "path" in management.at ? [management.at.path, "unix"] : [management.at.host, `${management.at.port}`];
  const line = `management ${wanted.join(" ")}`;
  const option = last("management");
  if (option === undefined)
    found.push(missing("management", "there is no management socket to attach to", `Add: ${line}`));
  else if (option.words.slice(0, 2).join(" ") !== wanted.join(" ")) {
    const what = `the management socket is ${option.words.slice(0, 2).join(" ")}; the profile attaches to ${wanted.join(" ")}`;
    found.push(at(option, "management", "fault", what, `Write ${line}, or change attach in sallyport.yaml.`));
  } else {
    found.push(at(option, "management", "ok", "the management socket is where the profile attaches", null));
    found.push(...judgeSocketPassword(option, passwordFile));
    if (option.words[1] === "unix" && !last("management-client-user") && !last("management-client-group")) {
      const next = "Add: management-client-user root (or keep the socket in a directory that only root may enter)";
      found.push(missing("management-client-user", "every account may open the management socket", next, "warning"));
    }
  }
  const asks = last("management-client-auth");
  const asked = "Sallyport is not asked: whoever has a certificate comes in";
  if (asks === undefined) found.push(missing("management-client-auth", asked, "Add: management-client-auth"));
  else found.push(at(asks, "management-client-auth", "ok", "Sallyport is asked who may come in", null));
  const client = last("management-client");
  if (client !== undefined) {
    const wrong = management.role === "connect";
    const what = wrong ? "the server connects, and so does the profile" : "the server ends when Sallyport does";
    const next = wrong ? "Delete the line, or write listen: in front of attach." : "Have it started again by its unit.";
    found.push(at(client, "management-client", wrong ? "fault" : "warning", what, next));
  } else if (management.role === "listen") {
    found.push(missing("management-client", "the profile waits for the server to connect", "Add: management-client"));
  }
  return found;
}

function judgeSocketPassword(option: ConfigOption, passwordFile: string | null): Judgement[] {
  const asks = option.words[2] !== undefined;
  if (asks === (passwordFile !== null)) return [];
  if (asks) {
    const next = `Set passwordFile beside attach to a file with the same password as ${option.words[2]}.`;
    return [at(option, "management-password", "fault", "the management socket asks for a password", next)];
  }
  const what = "the profile has a passwordFile, and the management socket asks for none";
  return [at(option, "management-password", "warning", what, `Append a password file: ${option.words.join(" ")} FILE`)];
}

/** Who the clients are to OpenVPN itself. */
function judgeClients({ last, profile }: Look): Judgement[] {
  const found: Judgement[] = [];
  const optional = last("auth-user-pass-optional");
  if (optional !== undefined) {
    const what = "whoever comes without a user name is put to Sallyport, which asks for an auto-login certificate";
    found.push(at(optional, "auth-user-pass-optional", "ok", what, null));
  } else {
    const what = "OpenVPN itself refuses whoever comes without a user name; auto-login devices cannot be used";
    found.push(missing("auth-user-pass-optional", what, null, "ok"));
  }
  const verify = last("verify-client-cert") ?? last("client-cert-not-required");
  const none = verify?.name === "client-cert-not-required" || verify?.words[0] === "none";
  if (verify !== undefined && (none || verify.words[0] === "optional")) {
    const wrong = profile.certificates === "ours";
    const what = wrong ? "certificates: ours, and the server asks for none" : "clients are known by their user names";
    const next = wrong ? "Delete the line, or set certificates: any." : null;
    found.push(at(verify, "verify-client-cert", wrong ? "fault" : "ok", what, next));
  }
  const asName = last("username-as-common-name");
  if (asName !== undefined) {
    const what = "OpenVPN calls its clients by their user names: after a restart Sallyport knows them by address alone";
    found.push(
      at(asName, "username-as-common-name", "warning", what, "Delete the line unless something else needs it."),
    );
  }
  if (last("duplicate-cn") === undefined && (!none || asName !== undefined)) {
    const who = asName === undefined ? "with the same certificate" : "of the same user";
    const next = "Add: duplicate-cn (Sallyport ends a device's older connection by itself)";
    found.push(missing("duplicate-cn", `two devices ${who} throw each other out`, next, "warning"));
  }
  return found;
}

type Rule = { state: "warning"; when?: (words: readonly string[]) => boolean; what: string; next: string };

/** Options that are no mistake by themselves. */
const remarks: Readonly<Record<string, Rule>> = {
  "reneg-sec": {
    state: "warning",
    when: ([seconds]) => seconds === "0",
    what: "nobody is ever asked again: what a user may do is looked at when they connect alone",
    next: "Delete the line (an hour), or write a time.",
  },
  "auth-gen-token": {
    state: "warning",
    when: (words) => !words.includes("external-auth"),
    what: "whoever has a token goes on without Sallyport being asked",
    next: "Append external-auth: auth-gen-token 0 external-auth",
  },
  "auth-user-pass-verify": {
    state: "warning",
    what: "this program is asked too, and every tunnel stands still while it runs",
    next: "Delete the line; have Sallyport check credentials (docs/auth-methods.md).",
  },
  "client-connect": {
    state: "warning",
    what: "this program runs after Sallyport said yes; where it refuses, the person reads no reason",
    next: "Make it a connection hook (docs/hooks.md), and delete the line.",
  },
  "client-config-dir": {
    state: "warning",
    what: "its files add options for single clients; their addresses are overruled, disable in them still refuses",
    next: "Put addresses into conn_ip (sallyport property set), and delete ifconfig-push from the files.",
  },
  "ccd-exclusive": {
    state: "warning",
    what: "clients without a file in client-config-dir are refused after Sallyport said yes",
    next: "Delete the line.",
  },
  "client-to-client": {
    state: "warning",
    what: "clients reach each other inside OpenVPN, where no firewall sees it",
    next: "Delete the line, unless they should.",
  },
  "hand-window": {
    state: "warning",
    when: ([seconds]) => Number(seconds) < 60,
    what: "scripts and hooks must have answered within this time",
    next: "Delete the line (60 s), or shorten scripts.deadlineMs and the hooks' deadlines.",
  },
  "ifconfig-pool-persist": {
    state: "warning",
    what: "addresses are the ledger's to remember; nothing is written there",
    next: "Delete the line.",
  },
};

function judgePresence({ last, options }: Look): Judgement[] {
  const found = Object.entries(remarks).flatMap(([name, { state, when, what, next }]) => {
    const option = last(name);
    return option !== undefined && when?.(option.words) !== false ? [at(option, name, state, what, next)] : [];
  });
  if (last("keepalive") === undefined && last("ping-restart") === undefined) {
    const what = "a client that vanishes is never noticed, and its address stays taken";
    found.push(missing("keepalive", what, "Add: keepalive 10 60", "warning"));
  }
  const pushesExit = options.some(({ name, words }) => name === "push" && words[0]?.startsWith("explicit-exit-notify"));
  if (!pushesExit && !last("proto")?.words[0]?.startsWith("tcp")) {
    const what = "a client that leaves does not say so, and its connection stays open until the keepalive time is over";
    found.push(missing("explicit-exit-notify", what, 'Add: push "explicit-exit-notify 1"', "warning"));
  }
  const what = "device facts (IV_HWADDR, UV_*) are sent by clients with push-peer-info alone";
  found.push(missing("push-peer-info", what, null, "ok"));
  return found;
}
