import type { Group, User } from "../core/account.ts";
import type { AddressRange } from "../core/address-range.ts";
import type { AttemptRecord } from "../core/attempt.ts";
import type { Connection, EndReason } from "../core/connection.ts";
import type { ErrorCode } from "../core/errors.ts";
import type { Delivery, DeliveryState, HookEvent } from "../core/hook.ts";
import type { Properties, PropertyOwner } from "../core/properties.ts";
import type { VpnSession } from "../core/session.ts";
import type { ClientConfigStore, DeviceStore } from "./client-config-store.ts";
import type { ClientScriptStore } from "./client-script-store.ts";
import type { ScriptStore } from "./script-store.ts";

export type {
  ClientConfig,
  ClientConfigEnd,
  ClientConfigKind,
  ClientConfigStore,
  DeviceFacts,
  DeviceStore,
} from "./client-config-store.ts";
export type { ScriptStore, ScriptSummary, ScriptVersion } from "./script-store.ts";

/**
 * The port to the database: one interface a noun, implemented for each engine and put through one suite of tests.
 * Every method is one transaction and is durable when its promise resolves (`attempts` may be written in batches).
 * Names of things are unique and compared as written. A missing thing is `undefined` or false, never an exception;
 * a broken database is a SallyportError `store-unavailable`. Called by every stage; nobody holds a transaction open.
 */
export interface Store {
  readonly accounts: AccountStore;
  readonly settings: SettingStore;
  readonly clientConfigs: ClientConfigStore;
  readonly devices: DeviceStore;
  readonly scripts: ScriptStore;
  readonly clientScripts: ClientScriptStore;
  readonly attempts: AttemptStore;
  readonly challenges: ChallengeStore;
  readonly sessions: SessionStore;
  readonly ledger: Ledger;
  readonly deliveries: DeliveryStore;
  readonly figures: FigureStore;
  close(): Promise<void>;
}

export interface AccountStore {
  /** False where the user exists already. */
  addUser(user: { id: string; passwordDigest: string | null; at: string }): Promise<boolean>;
  user(id: string): Promise<(User & { passwordDigest: string | null }) | undefined>;
  users(): Promise<User[]>;
  setDisabled(id: string, disabled: boolean): Promise<boolean>;
  setPasswordDigest(id: string, digest: string | null): Promise<boolean>;
  /** Its properties go too. */
  deleteUser(id: string): Promise<boolean>;
  addGroup(group: Group): Promise<boolean>;
  group(id: string): Promise<Group | undefined>;
  groups(): Promise<Group[]>;
  deleteGroup(id: string): Promise<boolean>;
  /** Empty where the owner has none, or is no record at all (a directory's user). */
  properties(owner: PropertyOwner): Promise<Properties>;
  setProperties(owner: PropertyOwner, values: Properties): Promise<void>;
  deleteProperty(owner: PropertyOwner, key: string): Promise<boolean>;
  /** Sets a property that still has the value `from` (null: is not set). False where it has another: nothing is changed. */
  swapProperty(owner: PropertyOwner, swap: { key: string; from: string | null; to: string }): Promise<boolean>;
  /** Everybody's, with those of a directory's users, who have no account here. Owners without properties are left out. */
  allProperties(): Promise<{ owner: PropertyOwner; properties: Properties }[]>;
}

/** Access-Server-named settings: `auth.module.type`, `vpn.client.app_verify`, … */
export interface SettingStore {
  get(key: string): Promise<string | undefined>;
  list(): Promise<Record<string, string>>;
  set(key: string, value: string): Promise<void>;
  delete(key: string): Promise<boolean>;
}

export interface AttemptStore {
  /** Written soon, in batches; `flush` waits for it. */
  record(attempt: AttemptRecord): void;
  flush(): Promise<void>;
  get(id: string): Promise<AttemptRecord | undefined>;
  /** Newest first. */
  list(filter: { userId?: string; since?: string; limit: number }): Promise<AttemptRecord[]>;
  /** What was let in was refused after all: by a hook, or for want of an address. False where there is no such attempt. */
  refusedAfterwards(id: string, refusal: { code: ErrorCode; reason: string; clientReason: string }): Promise<boolean>;
  /** Those whose id ends in one of these, newest first. Looks through all. */
  endingIn(endings: readonly string[]): Promise<AttemptRecord[]>;
  prune(before: string): Promise<number>;
}

/** A question put to somebody and not yet answered, bound to who was asked and on which device. */
export type PendingChallenge = {
  /** Unguessable; given to the client, which gives it back with the answer. */
  id: string;
  userId: string;
  profileId: string | null;
  /** The device's certificate; null where there is none. */
  serial: string | null;
  expiresAt: string;
  /** What the pipeline needs to go on; plain JSON. A script may have put a password into it: `sealedStore` keeps it sealed. */
  carried: Record<string, unknown>;
};

export interface ChallengeStore {
  put(challenge: PendingChallenge): Promise<void>;
  /** Each is taken once; an expired one is as none. */
  take(id: string, now: string): Promise<PendingChallenge | undefined>;
  prune(before: string): Promise<number>;
}

export interface SessionStore {
  /** Makes it, or puts it in the place of the one with this id. */
  put(session: VpnSession): Promise<void>;
  get(id: string): Promise<VpnSession | undefined>;
  end(which: { id: string } | { userId: string } | { connectionId: string }): Promise<number>;
  prune(before: string): Promise<number>;
}

/** One family's wish for an address: the fixed one, or the next free of the ranges, tried in order. */
export type AddressWish = { fixed: string } | { ranges: readonly AddressRange[]; excluded: readonly AddressRange[] };

export type Reservation = {
  connection: Omit<Connection, "ipv4" | "ipv6">;
  ipv4: AddressWish | null;
  ipv6: AddressWish | null;
  /** How many the user may have at once, this one included; null: as many as they like. */
  mostConnections: number | null;
  /** Hooks that want the disconnect of the connections this one replaces, as in `end`. */
  subscribers: readonly string[];
  graceMs?: GraceMs;
  /** Refuse (`address-in-use`) rather than give another address to a device within its grace, while its old tunnel ends. */
  awaitAddress?: boolean;
};

/**
 * Hooks with a grace period and how long it is. Such a hook's disconnect is held back so long; if meanwhile the same user
 * and device is admitted in the same profile with the same addresses, the hook is told of neither (`Delivery.earlier`).
 */
export type GraceMs = Readonly<Record<string, number>>;

export type Reserved =
  | { connection: Connection; replaced: Connection[] }
  | {
      refused: Extract<ErrorCode, "no-free-address" | "address-in-use" | "too-many-connections" | "connection-ended">;
      heldBy: string | null;
      replaced: Connection[];
    };

export type Holding = { ipv4: string | null; ipv6: string | null };

/**
 * The ledger. An address row belongs to one connection until `release`, which may come after the connection's end; or to
 * the client config that the connection names (`clientConfigId`): it holds its addresses over all its connections.
 */
export interface Ledger {
  /**
   * Ends (`replaced`) whatever this user and device (`connectionId`) had in this profile and takes the addresses.
   * The replaced connections end even where the reservation is refused; their addresses stay held until released.
   * Where the device has, or was let in and had, one by a newer attempt, nothing ends, and this one is refused
   * (`connection-ended`).
   * Addresses of a range go round: a freed one is not handed out again before the others.
   */
  reserve(reservation: Reservation): Promise<Reserved>;
  /**
   * In one transaction: the row becomes `admitted`, `save` is written to the user's record, and one waiting connect
   * delivery is queued for each observer. False where the row has ended meanwhile.
   */
  admit(
    id: string,
    admission: { at: string; save: Properties; observers: readonly string[]; graceMs?: GraceMs },
  ): Promise<boolean>;
  established(id: string, at: string): Promise<void>;
  /** A daemon adopted again knows the tunnel under a new key. */
  rename(id: string, tunnelKey: string): Promise<void>;
  /** Each count stands for itself: many are written in several transactions. */
  traffic(counts: readonly { id: string; bytesIn: number; bytesOut: number }[]): Promise<void>;
  /**
   * Ends the row once, whoever asks first, and in the same transaction queues one disconnect delivery for each hook
   * with a connect delivery (`subscribers` limits it to hooks that want the event). False where it had ended already.
   * Counts, where given, replace the stored ones. `release` frees the addresses at once (the tunnel is gone).
   */
  end(
    id: string,
    end: {
      at: string;
      reason: EndReason;
      detail: string | null;
      counts: { bytesIn: number; bytesOut: number } | null;
      release: boolean;
      subscribers: readonly string[];
      graceMs?: GraceMs;
    },
  ): Promise<boolean>;
  /** Frees the addresses a connection, or a client config, still holds. */
  release(id: string): Promise<void>;
  /** Takes addresses for a client config that has no connection yet; those it holds already stay its own. */
  hold(
    clientConfigId: string,
    wishes: Pick<Reservation, "ipv4" | "ipv6">,
  ): Promise<Holding | (Extract<Reserved, { refused: ErrorCode }> & { replaced: [] })>;
  /** Deletes what ended before this time, has no tunnel any more, and was told to every hook; how many. */
  prune(before: string): Promise<number>;
  get(id: string): Promise<Connection | undefined>;
  /** The connection, ended or not, that still holds addresses or is not ended under this tunnel. */
  byTunnel(tunnel: { profileId: string; listener: string; key: string }): Promise<Connection | undefined>;
  /** The connection of a WireGuard device that has not ended, or whose peer may still be there. */
  ofClientConfig(id: string): Promise<Connection | undefined>;
  /** Not ended, or still holding an address, on this node. */
  unfinished(filter: { nodeNumber: number; profileId?: string; listener?: string }): Promise<Connection[]>;
  /** Not ended on this node, and past their time. */
  expired(filter: { nodeNumber: number; now: string }): Promise<Connection[]>;
  /** Not ended on this node, though their client config was revoked or their account disabled. */
  withdrawn(filter: { nodeNumber: number }): Promise<{ id: string; because: "config-revoked" | "account-disabled" }[]>;
  /** Newest first. `open` true: not ended. */
  list(filter: {
    userId?: string;
    profileId?: string;
    open?: boolean;
    since?: string;
    limit: number;
  }): Promise<Connection[]>;
}

export interface DeliveryStore {
  /**
   * Begins telling a veto hook of a connect: the row stands as `running` before the hook is started, so that whoever
   * dies, it is known to have been told. Undefined where the connection has ended meanwhile.
   */
  tell(telling: { sessionId: string; hook: string; at: string; leaseUntil: string }): Promise<Delivery | undefined>;
  /**
   * Takes waiting deliveries that are due, oldest first, and marks them running until `leaseUntil`: a lease that runs
   * out makes them due again. A disconnect is due only when the connect of the same hook and connection is done or
   * failed; a veto connect whose lease ran out becomes failed and is not run again. Hooks in `busy` are left out, and of
   * a hook in `room` no more are taken than it says.
   */
  takeDue(due: {
    now: string;
    leaseUntil: string;
    limit: number;
    busy: readonly string[];
    room?: Readonly<Record<string, number>>;
  }): Promise<Delivery[]>;
  /** Records how an attempt came out; `retryAt` makes it waiting again. */
  finish(
    id: string,
    result: {
      at: string;
      state: Extract<DeliveryState, "done" | "failed"> | { retryAt: string };
      durationMs: number;
      output: string;
      error: string | null;
    },
  ): Promise<void>;
  /** When the next waiting delivery is due, or undefined where none waits. */
  nextDueAt(): Promise<string | undefined>;
  /** Leases of a process that is known to be dead: what was running is due (or, for vetoes, failed) when `at` comes. */
  abandonRunning(at: string): Promise<number>;
  /** Whether the hook has yet to be told of the end of another connection that had one of these addresses. */
  endUntold(of: { hook: string; sessionId: string; ipv4: string | null; ipv6: string | null }): Promise<boolean>;
  get(id: string): Promise<Delivery | undefined>;
  list(filter: {
    sessionId?: string;
    state?: DeliveryState;
    hook?: string;
    event?: HookEvent;
    limit: number;
  }): Promise<Delivery[]>;
  /** Makes a failed delivery waiting again with its attempts at 0. */
  retry(id: string, at: string): Promise<boolean>;
  /** Nobody shall be told of this any more. False where it is neither failed nor waiting. */
  discard(id: string, at: string): Promise<boolean>;
  /** Deletes what was done before this time, of connections that have ended and of which nothing is left to tell. */
  prune(before: string): Promise<number>;
}

/** Counts for whoever watches; they cost what is open or undone, however long the history is. */
export interface FigureStore {
  /** Those of this node that have not ended; `group` is null for people in none. */
  connections(
    nodeNumber: number,
  ): Promise<(Pick<Connection, "profileId" | "protocol" | "state"> & { group: string | null; count: number })[]>;
  /** What is not done, by hook: a state that no delivery of a hook is in is left out. */
  deliveries(): Promise<
    { hook: string; state: Exclude<DeliveryState, "done">; count: number; oldestCreatedAt: string }[]
  >;
}
