import { SallyportError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { DriverEvents } from "../driver.ts";
import type { Clients } from "./clients.ts";
import { listCommand, plainCommand } from "./commands.ts";
import { ManagementConnection, type ManagementOptions, type Reply } from "./management.ts";
import type { Message } from "./messages.ts";
import { type ListedClient, parseStatus } from "./status-list.ts";
import { nobodysName } from "./telling.ts";

export type AttachOptions = {
  socketPath: string;
  connect?: ManagementOptions["connect"];
  /**
   * Whether this is the process, with the same numbers for its clients, that was attached before.
   * @throws SallyportError `driver-failed` where it is not one to attach to
   */
  identify: (server: ServerIdentity) => Promise<boolean>;
  /** Whether the server shall wait for nobody when it restarts itself. */
  holdOff: boolean;
  /** Sees whatever the server says of itself once it is attached. */
  watch?: (message: Message, connection: ManagementConnection) => void;
  where: { profileId: string; listener: string };
  byteCountEverySeconds: number;
  deadlineMs: number;
  clients: Clients;
  events: DriverEvents;
  /** The connection is made; nothing was handled yet. */
  onConnected: (connection: ManagementConnection) => void;
  onClose: () => void;
  log: Log;
};

/** What a server says of itself. `since`: when its present state began; it numbers its clients anew after a restart. */
export type ServerIdentity = { pid: string; version: string; since: string };

/** What OpenVPN says while the tunnels are being reported is kept up to here; beyond that it is attached anew. */
const mostHeld = 100_000;
/** It is past its TLS handshake; a server without certificates knows its user name alone. */
const hasSpoken = ({ commonName, userName }: ListedClient) =>
  [commonName, userName].some((name) => name !== "" && name !== nobodysName);
const noAddressYet = (client: ListedClient) => client.ipv4 === undefined && client.ipv6 === undefined;

/**
 * Attaches to a running server: asks for its list of clients, sends back whoever waits for an answer that nobody is
 * working on, reports the tunnels that are up, and only then lets events through. OpenVPN's output is one stream, so an
 * event before the list is in the list already, and one after it is news; nothing is told twice or lost.
 * @throws SallyportError `driver-failed` where that server does not answer as it should
 */
export async function attach(options: AttachOptions): Promise<void> {
  const { clients, events, log, where } = options;
  let held: Message[] | undefined = [];
  let beforeList = 0;
  const news = (message: Message) => {
    handle(clients, message, log);
    options.watch?.(message, connection);
  };
  const connection = await ManagementConnection.open({
    socketPath: options.socketPath,
    connect: options.connect,
    deadlineMs: options.deadlineMs,
    onMessage: (message) => {
      if (held !== undefined) held.push(message);
      else news(message);
      if ((held?.length ?? 0) > mostHeld) connection.close();
    },
    onClose: options.onClose,
    log,
  });
  clients.beginAttach();
  options.onConnected(connection);
  try {
    const questions = [
      plainCommand("pid"),
      listCommand("version"),
      plainCommand("state", "on"),
      plainCommand("bytecount", options.byteCountEverySeconds),
      ...(options.holdOff ? [plainCommand("hold", "off")] : []),
      listCommand("state"),
      listCommand("status", 3),
    ];
    const replies = await connection.send(questions, {
      atOnce: () => {
        beforeList = held?.length ?? 0;
      },
    });
    const identity = readIdentity(replies[0], replies[1], replies.at(-2));
    const sameDaemon = await options.identify(identity);
    const listed = readList(replies.at(-1));
    const questionsAgain = stillOpen(held.splice(0, beforeList), listed);

    const asked = new Set(questionsAgain.map((message) => message.event.cid));
    const forgotten = listed.filter((one) => noAddressYet(one) && hasSpoken(one) && !asked.has(one.cid));
    // Their keys are known only until the table is taken over.
    const keys = forgotten.map(({ cid }) => (sameDaemon ? clients.keyOf(cid) : undefined));
    for (const [index, { cid }] of forgotten.entries()) await clients.sendBack(cid, keys[index]);

    const { tunnels, askAgain } = clients.adopt(
      listed.filter((one) => !noAddressYet(one)),
      sameDaemon,
    );
    await events.attached({ ...where, sameDaemon }, tunnels);
    await connection.send([plainCommand("hold", "release")]);
    log.info(
      { ...where, pid: identity.pid, tunnels: tunnels.length, sentBack: forgotten.length },
      "attached to openvpn",
    );

    for (const message of [...questionsAgain, ...held]) news(message);
    held = undefined;
    askAgain();
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** A server that is held or still starting has no clients, and no `status` either. */
function readList(reply: Reply | undefined): ListedClient[] {
  if (reply?.ok === true) return parseStatus(reply.lines);
  if (reply?.text.includes("not supported by the current daemon mode")) return [];
  throw new SallyportError("driver-failed", `OpenVPN does not list its clients: ${reply?.text ?? "it did not reply"}`);
}

function readIdentity(pid?: Reply, version?: Reply, state?: Reply): ServerIdentity {
  return {
    pid: /^SUCCESS: pid=(\d+)$/.exec(pid?.text ?? "")?.[1] ?? "",
    version: /^OpenVPN Version: OpenVPN (\S+)/m.exec(version?.lines.join("\n") ?? "")?.[1] ?? "",
    since: state?.lines.at(-1)?.split(",")[0] ?? "",
  };
}

type Question = Extract<Message, { kind: "client" }>;

/** The questions among what was said before the list that it shows to be unanswered. */
function stillOpen(messages: readonly Message[], listed: readonly ListedClient[]): Question[] {
  const open = new Map<number, Question>();
  for (const message of messages) {
    if (message.kind === "state" && message.name === "RECONNECTING") open.clear();
    if (message.kind !== "client") continue;
    const { type, cid } = message.event;
    if (type === "CONNECT" || type === "REAUTH") open.set(cid, message);
    else if (type === "DISCONNECT") open.delete(cid);
  }
  return [...open.values()].filter(({ event }) => {
    const client = listed.find((one) => one.cid === event.cid);
    return client !== undefined && (event.type === "CONNECT") === noAddressYet(client);
  });
}

function handle(clients: Clients, message: Message, log: Log): void {
  try {
    clients.handle(message);
  } catch (error) {
    log.error({ error, kind: message.kind }, "an event of OpenVPN could not be handled");
  }
}
