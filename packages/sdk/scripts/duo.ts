/**
 * Asks for a second factor by Duo: a push, a phone call or a passcode.
 *
 * Speaks version 2 of Duo's Auth API (https://duo.com/docs/authapi) with the keys of an "Auth API" application. Somebody
 * who reconnects with a session token, has a certificate alone (autologin), or passed when the session began is not asked.
 * A push waits for a person: raise scripts.deadlineMs to about 45000.
 */
import { createHmac, X509Certificate } from "node:crypto";
import { request as httpsRequest } from "node:https";
import { type Answer, allow, definePostAuth, deny } from "@sallyport/sdk";

const settings = {
  /** The application's API hostname, for example "api-12345678.duosecurity.com"; a port may follow a colon. */
  apiHost: "",
  /** The application's integration key (client ID). */
  integrationKey: "",
  /** The application's secret key (client secret). Listings do not show it. */
  secretKey: "",
  /**
   * While Duo cannot be reached: "safe" lets in without a second factor, "secure" refuses as an outage. It counts for
   * Duo's first answer; who was told to prove themselves never comes in because a later one is missing.
   */
  failMode: "secure",
  /** Sends a push at once to whoever has a telephone for it, unless they sent a passcode along. */
  autopush: false,
  /** The name at Duo: "{user}" is the account, "{short}" is without a domain (CORP\alice and alice@corp are alice). */
  userName: "{user}",
  /** A property that holds a user's name at Duo, for those who have it; "" for none. */
  userNameProperty: "",
  /** How long Duo may take to say whether a factor is needed, or whether a passcode is right. */
  answerWithinMs: 4000,
  /** How requests are signed: "sha512" or "sha1". */
  digest: "sha512",
  /** Certificates (PEM) to trust in place of the system's, for a proxy that ends TLS; "" for none. */
  caPem: "",
  /** What people read who are not enrolled; the address to enrol at follows. */
  enrollText: "Please enroll with Duo, then sign in again:",
};

type Settings = typeof settings;
type Parameters = Record<string, string>;
type Reply = { [name: string]: unknown };

/** Duo did not answer, or nothing that could be understood. */
class Unreachable extends Error {}

export default definePostAuth({ settings, checkSettings }, async (request, ctx) => {
  if (request.method === "session" || request.method === "autologin") return allow();
  const username = nameAtDuo(request.user, request.properties, ctx.settings);
  if (request.reauth && ctx.session.duo === username) return allow();
  const who = { username, ipaddr: request.clientAddress };
  const prove = async (factor: Parameters | undefined): Promise<Answer> => {
    if (factor === undefined)
      return deny({ reason: "Duo: no passcode was typed", clientReason: "That was no passcode." });
    const answer = await authenticate({ ...who, ...factor }, ctx.settings, ctx.signal);
    if (answer.decision === "allow") ctx.session = { ...ctx.session, duo: username };
    return answer;
  };

  if (ctx.response !== undefined) {
    if (ctx.state.duo !== username) return deny(`Duo: the question was not put to ${username}`);
    return prove(factorOf(ctx.response));
  }

  let preauth: Reply;
  try {
    preauth = await ask("/auth/v2/preauth", who, ctx.settings, withinMs(ctx.settings.answerWithinMs, ctx.signal));
    checkPreauth(preauth);
  } catch (error) {
    if (!(error instanceof Unreachable) || ctx.settings.failMode !== "safe") throw error;
    ctx.log(`${error.message}; ${username} comes in without a second factor`);
    return allow({ reason: `${error.message}, and failMode is "safe"` });
  }
  const said = textOf(preauth.status_msg);
  switch (preauth.result) {
    case "allow":
      return allow({ reason: `Duo lets ${username} in without a second factor: ${said}` });
    case "deny":
      return deny({ reason: `Duo refuses ${username}: ${said}`, clientReason: said });
    case "enroll": {
      const clientReason = `${ctx.settings.enrollText} ${textOf(preauth.enroll_portal_url)}`.trim();
      return deny({ reason: `Duo: ${username} is not enrolled`, clientReason });
    }
  }

  const typed = request.staticResponse?.trim() ?? "";
  if (typed !== "") return prove(factorOf(typed));
  const capabilities = capabilitiesOf(preauth);
  if (ctx.settings.autopush && capabilities.includes("push")) return prove({ factor: "push", device: "auto" });
  ctx.state = { duo: username };
  const others = ["push", "phone"].filter((factor) => capabilities.includes(factor));
  return ctx.challenge(`Enter a passcode${others.length > 0 ? `, or: ${others.join(", ")}` : ""}`, { echo: true });
});

/** Waits for a person where one is asked; a passcode is answered at once. */
async function authenticate(parameters: Parameters, settings: Settings, signal: AbortSignal): Promise<Answer> {
  const { factor, username } = parameters;
  const isWaiting = factor !== "passcode";
  // Not as it was typed: answers to questions are masked wherever they would be recorded.
  const how = { push: "Push", phone: "Call", auto: "a factor of Duo's choice" }[factor ?? ""] ?? factor;
  const until = isWaiting ? signal : withinMs(settings.answerWithinMs, signal);
  let reply: Reply;
  try {
    reply = await ask("/auth/v2/auth", parameters, settings, until);
  } catch (error) {
    if (!isWaiting || !signal.aborted) throw error;
    return deny({
      reason: `Duo: ${username} did not answer (${how}) before scripts.deadlineMs was over`,
      clientReason: "Your sign-in was not confirmed in time. Please try again.",
    });
  }
  const [status, said] = [textOf(reply.status), textOf(reply.status_msg)];
  if (reply.result === "allow") return allow({ reason: `Duo lets ${username} in by ${how}: ${said}` });
  if (reply.result === "deny") {
    return deny({ reason: `Duo refuses ${username} by ${how} (${status}): ${said}`, clientReason: said });
  }
  throw new Unreachable(`Duo answered ${JSON.stringify(reply.result)} (${how})`);
}

/** What somebody typed: the name of a factor, or a passcode; undefined for what cannot be one. */
function factorOf(typed: string): Parameters | undefined {
  const text = typed.trim();
  const word = text.toLowerCase();
  if (word === "push" || word === "phone" || word === "auto") return { factor: word, device: "auto" };
  return /^[\x21-\x7e]{1,64}$/.test(text) ? { factor: "passcode", passcode: text } : undefined;
}

function nameAtDuo(user: string, properties: { [name: string]: string | undefined }, settings: Settings): string {
  const own = settings.userNameProperty === "" ? undefined : properties[settings.userNameProperty];
  if (own !== undefined && own !== "") return own;
  const short = user.replace(/^.*\\/, "").replace(/@.*$/, "");
  return settings.userName.replaceAll(/\{(user|short)\}/g, (_, part) => (part === "user" ? user : short));
}

function checkPreauth({ result }: Reply): void {
  if (["allow", "auth", "deny", "enroll"].includes(result as string)) return;
  throw new Unreachable(`Duo answered ${JSON.stringify(result)}, which means nothing here`);
}

/** What the user's devices can do, all taken together. */
function capabilitiesOf({ devices }: Reply): unknown[] {
  if (!Array.isArray(devices)) return [];
  return devices.flatMap((device: Reply | null) => (Array.isArray(device?.capabilities) ? device.capabilities : []));
}

const textOf = (value: unknown) => (typeof value === "string" ? value : "");

const withinMs = (ms: number, signal: AbortSignal) => AbortSignal.any([signal, AbortSignal.timeout(ms)]);

/** Duo's response. Throws `Unreachable`, or an error where Duo does not accept the request: never a user's fault. */
async function ask(path: string, given: Parameters, settings: Settings, signal: AbortSignal): Promise<Reply> {
  const { hostname, port } = addressOf(settings.apiHost);
  const body = canonical(given);
  const date = new Date().toUTCString().replace("GMT", "-0000");
  const signature = createHmac(settings.digest, settings.secretKey)
    .update([date, "POST", hostname, path, body].join("\n"))
    .digest("hex");
  const headers = {
    Date: date,
    Authorization: `Basic ${Buffer.from(`${settings.integrationKey}:${signature}`).toString("base64")}`,
    "Content-Type": "application/x-www-form-urlencoded",
    "Content-Length": Buffer.byteLength(body),
  };
  const trust = settings.caPem === "" ? {} : { ca: settings.caPem };
  const answer = await post({ hostname, port, path, headers, ...trust }, body, signal);
  let reply: Reply | undefined;
  try {
    reply = JSON.parse(answer.text);
  } catch {
    // Judged below, by its status.
  }
  if (answer.status === 401 || (answer.status < 500 && reply?.stat === "FAIL")) {
    const why = [reply?.code, reply?.message, reply?.message_detail].filter((part) => part != null).join(" ");
    throw new Error(`Duo does not accept the request (HTTP ${answer.status}): ${why || "no reason given"}`);
  }
  const { response } = reply ?? {};
  if (answer.status === 200 && reply?.stat === "OK" && typeof response === "object" && response !== null) {
    return response as Reply;
  }
  throw new Unreachable(`Duo did not answer properly (HTTP ${answer.status})`);
}

const mostAnswerBytes = 256 * 1024;

/** A connection of its own: one that was kept open may be dead, and that is not to be taken for an outage. */
function post(where: object, body: string, signal: AbortSignal): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      // Node's own advice is in force already, and none for whoever sets settings.
      const [said = ""] = error.message.split("; if the root CA is installed locally");
      const untrusted = said === error.message ? "" : " (setting caPem)";
      const why = signal.aborted ? "no answer in time" : `${said}${untrusted}`;
      reject(new Unreachable(`Duo cannot be reached: ${why}`));
    };
    const outgoing = httpsRequest({ ...where, method: "POST", agent: false, signal }, (incoming) => {
      const chunks: Buffer[] = [];
      let size = 0;
      incoming.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size > mostAnswerBytes) outgoing.destroy(new Error("its answer is too long"));
        else chunks.push(chunk);
      });
      incoming.on("error", fail);
      incoming.on("end", () =>
        resolve({ status: incoming.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") }),
      );
    });
    outgoing.on("error", fail);
    outgoing.end(body);
  });
}

/** As it is signed and as it is sent: sorted by name, everything but letters, digits and _.-~ in percents. */
function canonical(parameters: Parameters): string {
  const percent = (text: string) =>
    encodeURIComponent(text).replaceAll(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
  const names = Object.keys(parameters).sort();
  return names.map((name) => `${percent(name)}=${percent(parameters[name] ?? "")}`).join("&");
}

function addressOf(apiHost: string): { hostname: string; port: number } {
  const [, hostname = "", port = "443"] = /^([a-z0-9.-]+)(?::(\d{1,5}))?$/.exec(apiHost.toLowerCase()) ?? [];
  return { hostname, port: Number(port) };
}

function checkSettings(given: Settings): void {
  if (given.apiHost === "") throw new Error('apiHost is empty; say for example "api-12345678.duosecurity.com"');
  const { hostname, port } = addressOf(given.apiHost);
  if (hostname === "" || port < 1 || port > 65_535) throw new Error("apiHost must be a host name, without https://");
  for (const name of ["integrationKey", "secretKey"] as const) {
    if (!/^[\w.-]{8,}$/.test(given[name])) throw new Error(`${name} is not as Duo's admin panel shows it`);
  }
  if (given.failMode !== "safe" && given.failMode !== "secure") throw new Error('failMode must be "safe" or "secure"');
  if (given.digest !== "sha512" && given.digest !== "sha1") throw new Error('digest must be "sha512" or "sha1"');
  if (!/\{(user|short)\}/.test(given.userName)) throw new Error("userName must hold {user} or {short}");
  if (!Number.isInteger(given.answerWithinMs) || given.answerWithinMs < 100 || given.answerWithinMs > 60_000) {
    throw new Error("answerWithinMs must be from 100 to 60000");
  }
  if (given.caPem !== "") new X509Certificate(given.caPem);
}
