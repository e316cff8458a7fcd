import type { Questions } from "../cli/questions.ts";
import { decide, type ScriptMode } from "../consent/decide.ts";
import { rememberScripts } from "../consent/seen.ts";
import { type AgentStatus, serveControl } from "../control/control-socket.ts";
import { AgentFailure } from "../failure.ts";
import { onOneLine } from "../fit-for-terminal.ts";
import type { PythonChoice } from "../interpreter/machine.ts";
import type { Account } from "../machine/account.ts";
import { openAgentLog } from "../machine/agent-log.ts";
import { rootWords } from "../machine/as-root.ts";
import { openBrowser } from "../machine/browser.ts";
import { deviceAddress } from "../machine/device.ts";
import { peerInfo } from "../machine/peer-info.ts";
import type { Places } from "../machine/places.ts";
import { makePrivateDirectory } from "../machine/private-directory.ts";
import { ownPlatform } from "../machine/system.ts";
import { systemRelease } from "../machine/system-release.ts";
import { answerHostChecks } from "../posture/answer.ts";
import { applicationSources } from "../posture/sources.ts";
import { loadProfile, type Profile } from "../profile/load-profile.ts";
import { ConnectionScripts } from "../scripts/connection-scripts.ts";
import { sweepScriptDirectories } from "../scripts/script-directory.ts";
import { type AdministratorScripts, openAdministratorScripts } from "../service/administrator-scripts.ts";
import { connectService, type ServiceClient } from "../service/client.ts";
import { readPolicy } from "../service/policy.ts";
import type { Tunnel, TunnelEvents } from "../tunnel/tunnel.ts";
import { answersAfter, answersFrom } from "./answers.ts";
import { openTunnel } from "./open-tunnel.ts";

export type ConnectOptions = {
  source: string;
  /** Where the source is an address: whom to know its server by. */
  caFile: string | undefined;
  user: string | undefined;
  passwordStdin: boolean;
  scripts: ScriptMode;
  allowRoot: boolean;
  python: PythonChoice;
  openVpnProgram: string | undefined;
  /** Open the browser where the server wants the person to sign in there; never as root. */
  browser: boolean;
  scriptDeadlineMs: number;
  firstAnswerMs: number;
  silenceMs: number;
};

export type ConnectSurroundings = {
  account: Account;
  places: Places;
  /** The machine owner's files and the service's socket. */
  machine: { policy: string; socket: string; directory: string };
  environment: NodeJS.ProcessEnv;
  questions: Questions;
  tell: (text: string) => void;
  /** Aborted when the person wants to end it. */
  stop: AbortSignal;
  /** Aborted when they say so once more: scripts that still run are ended then. */
  hurry: AbortSignal;
};

/** Disconnect scripts have so long altogether when the agent is asked to stop, and connect scripts still running with them. */
const finishMs = 20_000;
const disconnectDeadlineMs = 15_000;

/**
 * Connects, stays until it is stopped or the connection is refused, and runs the server's scripts on the way.
 * @throws AgentFailure with the reason of an end that nobody here wanted
 */
export async function connect(options: ConnectOptions, around: ConnectSurroundings): Promise<void> {
  const { account, places, machine, questions, tell, stop } = around;
  await makePrivateDirectory(places.directory);
  const log = openAgentLog(places.log);
  await sweepScriptDirectories(places.scripts);
  const asked = answersFrom(questions, { user: options.user, fromStdin: options.passwordStdin });
  const profile = await loadProfile(options.source, asked, options.caFile);
  const answers = answersAfter(asked, profile.signedIn);
  const left = profile.protocol === "openvpn" ? profile.openvpn.leftOut : profile.wireguard.leftOut;
  for (const line of left) tell(`${onOneLine(profile.name)}: left out ${onOneLine(line)}`);
  const service = account.isRoot ? undefined : await connectService(machine.socket);
  const status = statusOf(profile);
  const scripts = openScripts({ options, around, profile, service, log: log.write });
  const stopping = Promise.withResolvers<void>();
  const over = Promise.withResolvers<void>();
  stop.addEventListener("abort", () => stopping.resolve());
  if (stop.aborted) stopping.resolve();
  await using _control = await serveControl({
    directory: places.control,
    status: () => status,
    disconnect: async () => {
      stopping.resolve();
      await over.promise;
    },
  });
  let wanted = false;
  void stopping.promise.then(() => {
    wanted = true;
    status.state = "disconnecting";
  });
  const events: TunnelEvents = {
    progress: tell,
    up: (facts) => {
      if (wanted) return;
      Object.assign(status, { ipFour: facts.ipFour ?? null, ipSix: facts.ipSix ?? null });
      status.reconnects = status.since === "" ? 0 : status.reconnects + 1;
      status.since = new Date().toISOString();
      status.state = "connected";
      const addresses = [facts.ipFour, facts.ipSix].filter((one) => one !== undefined).join(" and ");
      tell(`Connected${addresses === "" ? "" : `: this machine is ${addresses}`}`);
      scripts?.connected(facts, status.reconnects);
    },
    down: (reason) => {
      tell(wanted ? "Disconnected" : `Disconnected: ${reason}`);
      status.state = wanted ? "disconnecting" : "reconnecting";
      scripts?.disconnected(wanted);
    },
  };
  try {
    const peer = await peerInfoOf(profile, places);
    const opening = openTunnel({
      ...{ profile, account, places, service, answers, events, log: log.write, peerInfo: peer },
      onSignIn: (url) => {
        if (options.browser && !account.isRoot) openBrowser(url, ownPlatform(), around.environment);
      },
      programsOf: async () => (await readPolicy(machine.policy)).programsOf ?? [],
      ...{ openVpnProgram: options.openVpnProgram, firstAnswerMs: options.firstAnswerMs, silenceMs: options.silenceMs },
    });
    const failure = await untilEnd(await opening, stopping.promise);
    if (failure !== undefined) throw failure;
    if (status.since === "") throw new AgentFailure("interrupted", "Ended before it was connected.");
  } finally {
    await scripts?.finish(finishMs, around.hurry);
    service?.close();
    await log.written();
    over.resolve();
  }
}

async function untilEnd(tunnel: Tunnel, stopping: Promise<void>): Promise<AgentFailure | undefined> {
  const first = await Promise.race([tunnel.ended.then((failure) => ({ failure })), stopping]);
  if (first !== undefined) return first.failure;
  await tunnel.stop();
  return undefined;
}

function statusOf(profile: Profile): AgentStatus {
  return {
    pid: process.pid,
    profile: profile.name,
    protocol: profile.protocol,
    state: "connecting",
    since: "",
    ipFour: null,
    ipSix: null,
    server: profile.server,
    reconnects: 0,
  };
}

async function peerInfoOf(profile: Profile, places: Places): Promise<Record<string, string>> {
  if (profile.protocol !== "openvpn") return {};
  const platform = ownPlatform();
  const [, lines = ""] =
    /^# OVPN_ACCESS_SERVER_APP_VERIFY_START\r?\n(.*?)^# OVPN_ACCESS_SERVER_APP_VERIFY_STOP/ms.exec(profile.text) ?? [];
  const asked = lines.split(/\r?\n/).filter((line) => line !== "");
  return peerInfo({
    device: await deviceAddress(places.device),
    release: await systemRelease(platform),
    answers:
      asked.length === 0 ? {} : await answerHostChecks(asked, { platform, sources: applicationSources(platform) }),
  });
}

/** Undefined where nothing is ever to run. */
function openScripts(needs: {
  options: ConnectOptions;
  around: ConnectSurroundings;
  profile: Profile;
  service: ServiceClient | undefined;
  log: (text: string) => void;
}): ConnectionScripts | undefined {
  const { options, around, profile, log } = needs;
  const { account, places, questions, tell } = around;
  const config = profile.agentConfig;
  if (config === undefined || options.scripts === "never") return undefined;
  const server = { serverId: config.serverId, publicKeys: config.publicKeys, name: profile.server };
  return new ConnectionScripts({
    config,
    account,
    environment: around.environment,
    asksForTicket: profile.protocol === "wireguard",
    server: profile.server,
    platform: ownPlatform(),
    python: options.python,
    base: places.scripts,
    connectDeadlineMs: options.scriptDeadlineMs,
    disconnectDeadlineMs,
    userScriptsRefused:
      account.isRoot && !options.allowRoot
        ? `the agent runs as ${rootWords().root}, and scripts for users would too: say --allow-root, or start it as yourself`
        : undefined,
    decide: (script, fetched, signal) =>
      decide(script, fetched, {
        mode: options.scripts,
        path: places.consent,
        server,
        ask: questions.onTerminal
          ? (text) =>
              questions.ask({ prompt: text, echo: true, what: "whether a script may run", signal, afresh: true })
          : undefined,
      }),
    remember: ({ bundle }) => rememberScripts(places.seen, { ...server, at: bundle.issuedAt, scripts: bundle.scripts }),
    administrator: administratorScripts(needs),
    tell,
    log,
  });
}

function administratorScripts(needs: {
  options: ConnectOptions;
  around: ConnectSurroundings;
  service: ServiceClient | undefined;
  log: (text: string) => void;
}): AdministratorScripts | { missing: string } {
  const { options, around, service, log } = needs;
  if (service !== undefined) return service.scripts;
  if (!around.account.isRoot)
    return { missing: "administrator scripts need the privileged service, which does not run" };
  const { policy, directory } = around.machine;
  return openAdministratorScripts({
    policyPath: policy,
    directory,
    connectDeadlineMs: options.scriptDeadlineMs,
    disconnectDeadlineMs,
    log,
  });
}
