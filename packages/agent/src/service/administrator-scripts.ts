import { randomBytes } from "node:crypto";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { type ClientScript, mostOutputBytes, type ScriptEvent, type ScriptReport } from "@sallyport/protocol";
import { ownAccount } from "../machine/account.ts";
import { makePrivateDirectory, replaceFile } from "../machine/private-directory.ts";
import { ownPlatform } from "../machine/system.ts";
import { refusalOf, reportOf } from "../scripts/report.ts";
import { runScript } from "../scripts/run-script.ts";
import { checkForOwner, type OwnersBundle, readPolicy, whyNot } from "./policy.ts";
import { unsafePrograms } from "./unsafe-programs.ts";

/** What the user's part tells of its connection. It is only believed where it can do no harm. */
export type ToldFacts = { ipFour?: string; ipSix?: string; reconnects: number; graceful: boolean };

/** Runs a connection's administrator scripts, by the owner's rules; in the service, or in an agent that is root. */
export type AdministratorScripts = {
  /** For the next bundle, to be had from the server with it; the one before is void. */
  nonce(): Promise<string>;
  /** Takes a bundle over; the reason where none of it may run. */
  take(offered: { text: string; ticket: string; nonce: string }): Promise<{ refused: string } | undefined>;
  /** Connect once for each bundle, disconnect once after it. */
  run(event: ScriptEvent, facts: ToldFacts): Promise<ScriptReport[]>;
  /**
   * The connection is gone, whoever noticed: what is to run on disconnect runs, if it has not. What still runs after
   * that time, usually 20 s, is killed.
   */
  close(withinMs?: number): Promise<void>;
};

export type AdministratorTerms = {
  policyPath: string;
  directory: string;
  connectDeadlineMs: number;
  disconnectDeadlineMs: number;
  log: (text: string) => void;
  now?: () => number;
};

const nonceGoodForMs = 120_000;
const closeMs = 20_000;

export function openAdministratorScripts(terms: AdministratorTerms): AdministratorScripts {
  const { policyPath, directory, log, now = Date.now } = terms;
  let awaited: { nonce: string; until: number } | undefined;
  let owners: OwnersBundle | undefined;
  let ran: "nothing" | "connect" | "disconnect" = "nothing";
  let facts: ToldFacts = { reconnects: 0, graceful: false };
  const end = new AbortController();
  /** One after the other: two ends of a connection must not both find that disconnect has not run. */
  let queue: Promise<unknown> = Promise.resolve();

  const one = async (script: ClientScript, from: OwnersBundle): Promise<ScriptReport> => {
    // Read anew each time: the owner's no counts at once.
    const refused = whyNot(await readPolicy(policyPath), from.server, script);
    if (refused !== undefined) {
      await remember(directory, script, from);
      return refusalOf(script, refused);
    }
    const unsafe = await unsafePrograms(script.environment.PREPATH);
    if (unsafe !== undefined) return refusalOf(script, unsafe);
    const { bundle, server } = from;
    const outcome = await runScript(script, {
      connection: {
        ipFour: facts.ipFour,
        ipSix: facts.ipSix,
        reconnects: facts.reconnects,
        graceful: facts.graceful,
        userId: bundle.userId,
        profileId: bundle.profileId,
        server: server.name,
      },
      account: await ownAccount(),
      session: undefined,
      stdin: bundle.stdin,
      deadlineMs: script.event === "connect" ? terms.connectDeadlineMs : terms.disconnectDeadlineMs,
      mostOutputBytes,
      base: join(directory, "scripts"),
      python: "auto",
      platform: ownPlatform(),
      signal: end.signal,
    });
    log(
      `administrator script ${script.name} (${script.sha256}) of ${server.name}: ${outcome.outcome} ${outcome.detail ?? outcome.exitCode ?? outcome.signal}\n${outcome.output}`,
    );
    return reportOf(script, outcome);
  };

  const runAll = async (event: ScriptEvent): Promise<ScriptReport[]> => {
    const from = owners;
    const due = event === "connect" ? ran === "nothing" : ran === "connect";
    if (from === undefined || !due) return [];
    ran = event;
    const reports: ScriptReport[] = [];
    for (const script of from.bundle.scripts)
      if (script.privilege === "admin" && script.event === event) reports.push(await one(script, from));
    if (event === "disconnect") owners = undefined;
    return reports;
  };
  const inTurn = <Result>(work: () => Promise<Result>): Promise<Result> => {
    const result = queue.then(work);
    queue = result.catch(() => undefined);
    return result;
  };

  return {
    nonce: async () => {
      const nonce = randomBytes(24).toString("base64url");
      awaited = { nonce, until: now() + nonceGoodForMs };
      return nonce;
    },
    take: (offered) =>
      inTurn(async () => {
        const wanted = awaited;
        awaited = undefined;
        if (wanted === undefined || wanted.nonce !== offered.nonce || wanted.until < now())
          return { refused: "the bundle was not asked for by this machine, or was offered before" };
        const checked = checkForOwner(await readPolicy(policyPath), offered);
        if ("refused" in checked) return checked;
        // The connection before is over, though nobody said so.
        facts = { ...facts, graceful: false };
        await runAll("disconnect");
        owners = checked;
        ran = "nothing";
        return undefined;
      }),
    run: (event, told) =>
      inTurn(async () => {
        facts = event === "connect" ? believable(told) : { ...facts, graceful: told.graceful };
        return await runAll(event);
      }),
    close: async (withinMs = closeMs) => {
      const late = setTimeout(() => end.abort(), withinMs);
      const disconnected = inTurn(async () => {
        facts = { ...facts, graceful: false };
        awaited = undefined;
        await runAll("disconnect");
        owners = undefined;
      });
      await disconnected.finally(() => clearTimeout(late));
    },
  };
}

/** Addresses count where this machine has them. */
function believable({ ipFour, ipSix, reconnects, graceful }: ToldFacts): ToldFacts {
  const here = Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address));
  const own = (address: unknown) => typeof address === "string" && here.includes(address);
  return {
    ...(ipFour !== undefined && own(ipFour) && { ipFour }),
    ...(ipSix !== undefined && own(ipSix) && { ipSix }),
    reconnects: Number.isSafeInteger(reconnects) && reconnects >= 0 ? Math.min(reconnects, 1_000_000) : 0,
    graceful: graceful === true,
  };
}

/** For the owner to look at. Only scripts of servers that the owner knows, so that users cannot fill the disk. */
async function remember(directory: string, script: ClientScript, { server }: OwnersBundle): Promise<void> {
  const asked = join(directory, "asked");
  await makePrivateDirectory(asked);
  const { serverId, name: serverName } = server;
  await replaceFile(join(asked, `${script.sha256}.json`), JSON.stringify({ serverId, serverName, script }));
}
