import type { Log } from "../../core/log.ts";
import { createRadiusClient, RadiusNoAnswer, type RadiusServer } from "../../radius/client.ts";
import { attribute, code, type RadiusPacket, valuesOf } from "../../radius/packet.ts";
import { replyValues } from "../../radius/reply-values.ts";
import type { ChallengeState, Method, MethodResult } from "./method.ts";
import {
  mayEcho,
  type Presentation,
  personAttributes,
  presentPassword,
  type RadiusPerson,
  rejection,
  replyMessage,
} from "./radius-login.ts";
import type { RadiusOptions } from "./radius-options.ts";
import { CannotJudge, createServers, ServerUnreachable } from "./servers.ts";
import { createWaitingBound } from "./waiting.ts";

/** RADIUS servers. An Access-Challenge becomes our challenge; its answer goes to the server that put it. */
export function radiusMethod(options: RadiusOptions, log: Log): Method {
  const { servers, tryMs, tries } = options;
  const client = createRadiusClient();
  const bound = createWaitingBound(options.maxWaiting);
  const asked = createServers({
    servers,
    onChange: (server, up, reason) => {
      const facts = { method: "radius", server: server.name };
      if (up) log.info(facts, "the RADIUS server answers again");
      else log.warn(facts, `the RADIUS server ${reason}; others are asked first for a while`);
    },
  });

  const ask = async (
    server: RadiusServer,
    person: RadiusPerson,
    presented: Presentation,
    state: Buffer | undefined,
  ): Promise<MethodResult> => {
    const secret = server.secret.reveal();
    const attributes = (authenticator: Buffer) => [
      ...personAttributes(person, options),
      ...presented.attributes(secret, authenticator),
      ...(state === undefined ? [] : [{ type: attribute.state, value: state }]),
    ];
    const reply = await client.access(server, attributes, { tryMs, tries }).catch((error: unknown) => {
      if (error instanceof RadiusNoAnswer) throw new ServerUnreachable(error.message, { cause: error });
      throw error;
    });
    if (reply.code === code.accessReject) return wrong(rejection(reply));
    if (reply.code === code.accessChallenge) return challenge(server, person, reply);
    const missing = presented.missingProof(reply);
    if (missing !== undefined) throw new CannotJudge(`${server.name} accepts without ${missing}`);
    const userId = options.caseSensitive ? person.username : person.username.toLowerCase();
    const info = { radius_reply: replyValues(reply) };
    return { outcome: "accepted", userId, reason: "radius auth succeeded", info };
  };

  const judged = async (work: () => Promise<MethodResult>): Promise<MethodResult> => {
    try {
      const result = bound.run(work);
      if (result !== undefined) return await result;
      return unreachable(`${bound.limit} sign-ins already wait for the RADIUS servers (auth.radius.0.max_waiting)`);
    } catch (error) {
      if (error instanceof ServerUnreachable) return unreachable(`no server answered: ${error.message}`);
      if (error instanceof CannotJudge) return unreachable(error.message);
      throw error;
    }
  };

  return {
    name: "radius",
    deadlineMs: tryMs * tries * servers.length,
    async check(login) {
      if (login.password.reveal() === "") return wrong("an empty password is never accepted");
      const { username, clientAddress = null, hardwareAddress = null } = login;
      const presented = presentPassword(options.password, username, login.password.reveal());
      if (presented === undefined) return wrong(`the password is longer than ${options.password} can carry`);
      const person = { username, clientAddress, hardwareAddress };
      return judged(() => asked.ask((server) => ask(server, person, presented, undefined)));
    },
    async resume(state, response) {
      const known = readState(state);
      if (known === undefined) return unreachable("the state of a challenge cannot be read");
      const server = servers.find((one) => one.name === known.server);
      if (server === undefined) return unreachable(`${known.server}, which put the question, is no longer set up`);
      // A User-Password, whatever the password was presented as (RFC 2865 section 4.4).
      const answer = presentPassword("pap", known.person.username, response.reveal());
      if (answer === undefined) return wrong("the answer is longer than RADIUS can carry");
      // Only the server that put the question knows it.
      const alone = createServers({ servers: [server] });
      return judged(() => alone.ask(() => ask(server, known.person, answer, known.state)));
    },
    async close() {
      client.close();
    },
  };
}

function challenge(server: RadiusServer, person: RadiusPerson, reply: RadiusPacket): MethodResult {
  const [state] = valuesOf(reply, attribute.state);
  return {
    outcome: "challenged",
    text: replyMessage(reply) || "The server asks for a further answer.",
    echo: mayEcho(reply),
    state: { server: server.name, state: state?.toString("base64") ?? null, ...person },
  };
}

function readState(
  held: ChallengeState,
): { server: string; state: Buffer | undefined; person: RadiusPerson } | undefined {
  const { server, state, username, clientAddress, hardwareAddress } = held;
  const isText = (value: unknown) => typeof value === "string" || value === null;
  if (typeof server !== "string" || typeof username !== "string") return undefined;
  if (![state, clientAddress, hardwareAddress].every(isText)) return undefined;
  const person = { username, clientAddress, hardwareAddress } as RadiusPerson;
  return { server, state: typeof state === "string" ? Buffer.from(state, "base64") : undefined, person };
}

const wrong = (why: string): MethodResult => ({ outcome: "wrong", reason: `radius auth failed: ${why}` });
const unreachable = (why: string): MethodResult => ({ outcome: "unreachable", reason: `radius auth: ${why}` });
