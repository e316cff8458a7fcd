import { readFile, stat } from "node:fs/promises";
import { basename } from "node:path";
import type { parseArgs } from "node:util";
import { mostOutputBytes, mostScriptBytes, type ScriptEvent, sha256 } from "@sallyport/protocol";
import { connect } from "../connect/connect.ts";
import { type ScriptMode, scriptModes } from "../consent/decide.ts";
import { askAgent, connectedAgents } from "../control/control-socket.ts";
import { AgentFailure } from "../failure.ts";
import { onOneLine } from "../fit-for-terminal.ts";
import type { PythonChoice } from "../interpreter/machine.ts";
import { rootWords } from "../machine/as-root.ts";
import { ownPlatform } from "../machine/system.ts";
import { runScript } from "../scripts/run-script.ts";
import { sweepScriptDirectories } from "../scripts/script-directory.ts";
import { runService } from "../service/run-service.ts";
import type { Surroundings } from "./surroundings.ts";
import { trust } from "./trust.ts";

type Parsed = ReturnType<typeof parseArgs>;
type Command = { options: Parameters<typeof parseArgs>[0]; run(parsed: Parsed, around: Surroundings): Promise<void> };

export const usage = `Usage: sallyport-agent COMMAND

  connect FILE.ovpn|FILE.conf|URL   connect, and stay until stopped
      --user U                      user name; asked where it is needed
      --password-stdin              the password, then each answer, is a line of standard input
      --scripts never|ask|trust     run the server's scripts: none, those you agreed to (usual), all
      --allow-root                  scripts for users may run as root (on Windows: as an administrator), if you are
      --python auto|system|builtin  which Python runs #PYTHON scripts
      --script-seconds N            how long a connect script may take (usually 300)
      --no-browser                  print the address to sign in at, and open nothing
      --ca FILE                     the authority of a URL's server, where this machine does not know it
      --openvpn PROGRAM             another openvpn than the machine's
  disconnect [FILE]                 end what is connected
  status [--json]                   what is connected
  trust                             what servers want to run here, with the text, and what you agreed to
      --script HASH                 agree to a script
      --server ID                   agree to whatever this server sends
      --revoke HASH|ID              agree no longer
      --administrator               the owner's permissions for administrator scripts (root, or an administrator)
      --add FILE                    with --administrator: know the server of a client config
      --mode never|ask|trust        with --administrator
      --tunnels NAME,…|everybody    with --administrator: who may bring tunnels up
      --programs-of NAME,…          with --administrator, on macOS: whose Homebrew's programs root may run
      --json
  run-script --event connect|disconnect FILE   run a script of yours as a server's would run
      --env NAME=VALUE --stdin TEXT --allow-root
  service                           the privileged part (root)
      --install | --remove          have it started now and with the machine, or no longer

Exit status: 0 ended as asked, 1 failed, 2 wrong usage, 3 wrong password, 4 refused by the server, 5 server unreachable,
6 client config faulty, 7 a program is missing, 8 not permitted, 130 ended before it was connected.
`;

const text = { type: "string" } as const;
const flag = { type: "boolean" } as const;

export const commands: Readonly<Record<string, Command>> = {
  connect: {
    options: {
      options: {
        ...{ user: text, "password-stdin": flag, scripts: text, "allow-root": flag, python: text, openvpn: text },
        ...{ "script-seconds": text, "answer-seconds": text, "silence-seconds": text, ca: text, "no-browser": flag },
      },
    },
    run: async ({ values, positionals }, around) => {
      const source = only(positionals, "the client config to connect with");
      await connect(
        {
          source,
          caFile: values.ca as string | undefined,
          user: values.user as string | undefined,
          passwordStdin: values["password-stdin"] === true,
          scripts: oneOf<ScriptMode>("--scripts", values.scripts, scriptModes, "ask"),
          allowRoot: values["allow-root"] === true,
          python: oneOf<PythonChoice>("--python", values.python, ["auto", "system", "builtin"], "auto"),
          openVpnProgram: values.openvpn as string | undefined,
          browser: values["no-browser"] !== true,
          scriptDeadlineMs: secondsOf("--script-seconds", values["script-seconds"], 300),
          firstAnswerMs: secondsOf("--answer-seconds", values["answer-seconds"], 60),
          silenceMs: secondsOf("--silence-seconds", values["silence-seconds"], 45),
        },
        around,
      );
    },
  },
  disconnect: {
    options: { options: {} },
    run: async ({ positionals }, { places, print }) => {
      const wanted = positionals[0] === undefined ? undefined : basename(positionals[0]);
      const agents = (await connectedAgents(places.control)).filter(
        ({ status }) => wanted === undefined || status.profile === wanted,
      );
      if (agents.length === 0) throw new AgentFailure("failed", "Nothing is connected.");
      for (const { path, status } of agents) {
        await askAgent(path, "disconnect", 60_000);
        print(`disconnected ${onOneLine(status.profile)}\n`);
      }
    },
  },
  status: {
    options: { options: { json: flag } },
    run: async ({ values }, { places, print }) => {
      const all = (await connectedAgents(places.control)).map(({ status }) => status);
      if (values.json) return print(`${JSON.stringify(all)}\n`);
      if (all.length === 0) return print("not connected\n");
      for (const { profile, state, ipFour, ipSix, server, since, reconnects } of all) {
        const addresses = [ipFour, ipSix].filter((one) => one !== null).join(" ");
        const times = reconnects === 0 ? "" : `, ${reconnects} reconnects`;
        print(`${onOneLine(profile)}  ${state}  ${addresses}  ${onOneLine(server)}  since ${since || "-"}${times}\n`);
      }
    },
  },
  trust: {
    options: {
      options: {
        ...{ script: text, server: text, revoke: text, administrator: flag, add: text, mode: text, tunnels: text },
        "programs-of": text,
        json: flag,
      },
    },
    run: ({ values, positionals }, around) => {
      if (positionals.length > 0) throw new AgentFailure("usage", "trust takes no further words.");
      return trust(values, around);
    },
  },
  "run-script": {
    options: {
      options: {
        ...{ event: text, stdin: text, "allow-root": flag, python: text, "script-seconds": text },
        env: { type: "string", multiple: true },
      },
    },
    run: async ({ values, positionals }, around) => {
      const path = only(positionals, "the script to run");
      const { account, places, environment, print, tell } = around;
      const event = oneOf<ScriptEvent | "">("--event", values.event, ["connect", "disconnect"], "");
      if (event === "") throw new AgentFailure("usage", "Say --event connect or --event disconnect.");
      if (account.isRoot && !values["allow-root"])
        throw new AgentFailure(
          "not-permitted",
          `You are ${rootWords().root}, and the script would be too.`,
          "Say --allow-root.",
        );
      const facts = await stat(path).catch(() => undefined);
      if (!facts?.isFile() || facts.size > mostScriptBytes)
        throw new AgentFailure("failed", `${path} is no script, or longer than ${mostScriptBytes} bytes.`);
      const script = await readFile(path, "utf8");
      await sweepScriptDirectories(places.scripts);
      const kill = new AbortController();
      around.stop.addEventListener("abort", () => kill.abort());
      const outcome = await runScript(
        { name: basename(path), text: script, sha256: sha256(script), environment: variablesOf(values.env) },
        {
          connection: {
            ...{ ipFour: "192.0.2.10", ipSix: "2001:db8::10", userId: account.name, profileId: "try" },
            ...{ server: "vpn.example.org", reconnects: 0, graceful: event === "disconnect" },
          },
          ...{ account, session: environment, stdin: (values.stdin as string | undefined) ?? null },
          deadlineMs: secondsOf("--script-seconds", values["script-seconds"], event === "connect" ? 300 : 15),
          ...{ mostOutputBytes, base: places.scripts, platform: ownPlatform(), signal: kill.signal },
          python: oneOf<PythonChoice>("--python", values.python, ["auto", "system", "builtin"], "auto"),
        },
      );
      print(outcome.output);
      if (outcome.outcome !== "ran")
        throw new AgentFailure("failed", `${basename(path)}: ${outcome.detail?.replace(/\.$/, "")}.`);
      if (outcome.signal !== null)
        throw new AgentFailure("failed", `${basename(path)} was ended by ${outcome.signal}.`);
      tell(`${basename(path)}: exit status ${outcome.exitCode}, ${outcome.durationMs} ms`);
      if (outcome.exitCode !== 0) throw new AgentFailure("failed", `${basename(path)} failed.`);
    },
  },
  service: {
    options: { options: { openvpn: text, install: flag, remove: flag } },
    run: ({ values }, around) =>
      runService(
        {
          install: values.install === true,
          remove: values.remove === true,
          openVpnProgram: values.openvpn as string | undefined,
        },
        around,
      ),
  },
};

function only(positionals: readonly string[], what: string): string {
  const [first] = positionals;
  if (first !== undefined && positionals.length === 1) return first;
  throw new AgentFailure("usage", `Name ${what}, and nothing else.`, "See sallyport-agent --help.");
}

function oneOf<Choice extends string>(option: string, value: unknown, all: readonly string[], usual: Choice): Choice {
  if (value === undefined) return usual;
  if (all.includes(value as string)) return value as Choice;
  throw new AgentFailure("usage", `${option} is ${all.join(", ")}.`);
}

function secondsOf(option: string, value: unknown, usual: number): number {
  if (value === undefined) return usual * 1_000;
  if (/^\d{1,6}$/.test(value as string) && Number(value) > 0) return Number(value) * 1_000;
  throw new AgentFailure("usage", `${option} is a number of seconds.`);
}

function variablesOf(given: unknown): Record<string, string> {
  const pairs = ((given as string[] | undefined) ?? []).map((one) => /^([A-Za-z_]\w*)=(.*)$/s.exec(one));
  if (pairs.includes(null)) throw new AgentFailure("usage", "--env is NAME=VALUE.");
  return Object.fromEntries(pairs.map((pair) => [pair?.[1] ?? "", pair?.[2] ?? ""]));
}
