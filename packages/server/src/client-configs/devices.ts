import type { EndReason } from "../core/connection.ts";
import { SallyportError } from "../core/errors.ts";
import { Secret } from "../core/secret.ts";
import { whyNoUserName } from "../core/user-name.ts";
import type { Admission } from "../drivers/driver.ts";
import type { ClientConfig, ClientConfigEnd } from "../store/store.ts";
import {
  type DeviceAnswer,
  type DeviceAsks,
  type DeviceProfile,
  type DevicesOptions,
  hostOf,
  newDevice,
  refused,
} from "./device-options.ts";
import { wireGuardFile } from "./wireguard-file.ts";
import { isKey, newKeyPair, newPresharedKey } from "./wireguard-keys.ts";

/** Devices that connect by handshake keep their path open, or silence would end them. */
const keepaliveSeconds = 25;
const askedAtOnce = 32;

export type IssuedDevice = { config: ClientConfig; text: string };

/** WireGuard devices: client configs that hold their addresses, and are connected by being made or by shaking hands. */
export class Devices {
  readonly #options: DevicesOptions;
  /** What is being done with a key: one thing at a time. */
  readonly #busy = new Map<string, Promise<unknown>>();
  #releasing: Promise<void> | null = null;
  #stopped = false;

  constructor(options: DevicesOptions) {
    this.#options = options;
  }

  /**
   * Makes a device's file. What the same key had before in this profile ends as `replaced`, also where the new one is
   * refused; a refusal leaves nothing of the new one. A private key that is made here is in the text and nowhere else.
   * @throws SallyportError the code of the refusal, `invalid-input`, `conflict` for a key of somebody else's, `driver-failed`
   */
  async issue(order: {
    userId: string;
    profileId: string;
    publicKey?: string;
    clientAddress: string;
  }): Promise<IssuedDevice> {
    const { userId, profileId } = order;
    const profile = this.#profile(profileId);
    const wrongName = whyNoUserName(userId);
    if (wrongName !== undefined) {
      throw new SallyportError("invalid-input", `this cannot be the name of a user: ${wrongName}`);
    }
    if (order.publicKey !== undefined && !isKey(order.publicKey)) {
      throw new SallyportError(
        "invalid-input",
        "expected a WireGuard public key: 32 bytes in base64, as `wg pubkey` prints it",
      );
    }
    const made = order.publicKey === undefined ? newKeyPair() : null;
    const publicKey = order.publicKey ?? made?.publicKey ?? "";
    return await this.#alone(profileId, publicKey, async () => {
      const server = this.#options.server(profileId);
      await this.#replace(userId, profileId, publicKey);
      const presharedKey = profile.presharedKeys ? newPresharedKey() : null;
      const config = newDevice({ userId, profile, publicKey, now: this.#now() });
      if (!(await this.#options.devices.begin(config, presharedKey?.reveal() ?? null))) {
        throw new SallyportError("conflict", `the profile ${profileId} has a device with this key already`);
      }
      const { told, issued } = await this.#admitted(config, profile, {
        presharedKey,
        clientAddress: order.clientAddress,
      });
      const text = wireGuardFile({
        config: issued,
        profile,
        privateKey: made?.privateKey ?? null,
        presharedKey,
        told,
        server,
        keepaliveSeconds: profile.trigger === "handshake" ? keepaliveSeconds : null,
      });
      return { config: issued, text };
    });
  }

  /** Lets one in again that an administrator had put out. Errors: `not-found`, `conflict`, the code of a refusal. */
  async readmit(id: string): Promise<ClientConfig> {
    const config = await this.#options.clientConfigs.get(id);
    if (config?.protocol !== "wireguard") {
      throw new SallyportError("not-found", `there is no WireGuard client config ${JSON.stringify(id.slice(0, 80))}`);
    }
    const late = Date.parse(config.expiresAt) <= this.#now().getTime();
    if (config.revokedAt !== null || late) {
      throw new SallyportError("conflict", `client config ${id} does not work any more: issue another`);
    }
    await this.#options.devices.setAway(id, null);
    const answer = await this.#letIn(config.profileId, config.connectionId);
    if (answer !== undefined && !answer.allowed) throw refused(answer);
    return (await this.#options.clientConfigs.get(id)) ?? config;
  }

  /** Lets in all that should be and are not: after a start, or when an account was enabled. Refusals are logged. */
  async readmitAll(which: { profileId?: string; userId?: string }): Promise<void> {
    const waiting = (await this.#options.devices.working(which)).filter((one) => this.#shouldBeIn(one));
    const next = async () => {
      for (let one = waiting.shift(); one !== undefined && !this.#stopped; one = waiting.shift()) {
        const { id, userId, profileId, connectionId } = one;
        const fields = { clientConfig: id, user: userId, profileId };
        await this.#letIn(profileId, connectionId).then(
          (answer) => {
            if (answer === undefined || answer.allowed) return;
            const { code, reason } = answer;
            this.#options.log.warn(
              { ...fields, code, reason },
              "a device was not let in again; the next start tries once more",
            );
          },
          (error: unknown) => this.#options.log.warn({ ...fields, error }, "a device could not be let in again"),
        );
      }
    };
    await Promise.all(Array.from({ length: askedAtOnce }, next));
  }

  /** Nobody is asked about any more. */
  stop(): void {
    this.#stopped = true;
  }

  /** A device of the handshake trigger shook hands. */
  async shookHands({
    profileId,
    publicKey,
    clientAddress,
  }: {
    profileId: string;
    publicKey: string;
    clientAddress: string;
  }) {
    const answer = await this.#letIn(profileId, publicKey, clientAddress);
    if (answer === undefined || answer.allowed) return;
    const { code, reason } = answer;
    this.#options.log.info({ profileId, connection: publicKey, code, reason }, "a device that shook hands was refused");
  }

  /** Takes a device's file back: its connection ends, and its addresses are free once its peer is gone. */
  async end(config: ClientConfig, why: ClientConfigEnd, end: { reason: EndReason; detail: string }): Promise<void> {
    await this.#options.clientConfigs.revoke(config.id, this.#now().toISOString(), why);
    const connection = await this.#options.ledger.ofClientConfig(config.id);
    if (connection !== undefined) await this.#options.kill(connection, end);
    await this.release();
  }

  /** Frees what devices hold that do not work any more. Safe to call at any time, and twice at once. */
  async release(): Promise<void> {
    // Whoever asks while it runs has something to free that it may have passed over.
    const before = this.#releasing;
    const round = (before ?? Promise.resolve()).catch(() => undefined).then(() => this.#releaseNow());
    this.#releasing = round;
    await round.finally(() => {
      if (this.#releasing === round) this.#releasing = null;
    });
  }

  async #releaseNow(): Promise<void> {
    const holding = await this.#options.devices.stillHolding(this.#now().toISOString());
    for (const profileId of new Set(holding.map((one) => one.profileId))) {
      try {
        // No peer may have an address that somebody else could be given.
        if (this.#options.profile(profileId) !== undefined) await this.#options.synchronise(profileId);
      } catch (error) {
        this.#options.log.warn(
          { profileId, error },
          "addresses of former devices stay held until the interface answers",
        );
        continue;
      }
      const own = holding.filter((one) => one.profileId === profileId);
      await Promise.all(own.map(({ id }) => this.#options.ledger.release(id)));
    }
  }

  /** What was being asked for when an earlier process died was never handed out. */
  async forgetUnfinished(): Promise<void> {
    for (const config of await this.#options.devices.working()) {
      if (config.issuedAt === undefined) {
        await this.#options.clientConfigs.revoke(config.id, this.#now().toISOString(), "rejected");
      }
    }
  }

  /** Takes back what was handed out so long ago and never used. */
  async endUnused(profileId: string, unusedMs: number): Promise<void> {
    const before = new Date(this.#now().getTime() - unusedMs).toISOString();
    for (const config of await this.#options.devices.working({ profileId })) {
      if (config.issuedAt === undefined || config.issuedAt > before || config.lastSeenAt !== undefined) continue;
      await this.end(config, "unused", { reason: "expired", detail: `it was not used since ${config.issuedAt}` });
    }
  }

  async #admitted(
    config: ClientConfig,
    profile: DeviceProfile,
    given: { presharedKey: Secret | null; clientAddress: string },
  ): Promise<{ told: Omit<Admission, "kind">; issued: ClientConfig }> {
    const { devices } = this.#options;
    const asks: DeviceAsks = {
      profileId: profile.id,
      device: { clientConfigId: config.id, publicKey: config.connectionId, trigger: profile.trigger },
      ...given,
    };
    try {
      const answer = await (profile.trigger === "config" ? this.#options.connect(asks) : this.#options.prepare(asks));
      if (!answer.allowed) throw refused(answer);
      const { told, expiresAt } = answer;
      const facts = { ipv4: told.ipv4?.address ?? null, ipv6: told.ipv6?.address ?? null };
      const until = expiresAt ?? config.expiresAt;
      if (!(await devices.issued(config.id, { at: this.#now().toISOString(), expiresAt: until, ...facts }))) {
        throw new SallyportError(
          "certificate-revoked",
          `client config ${config.id} was revoked while it was being issued`,
        );
      }
      if (profile.trigger === "handshake") await this.#options.synchronise(profile.id);
      return { told, issued: (await this.#options.clientConfigs.get(config.id)) ?? config };
    } catch (error) {
      await this.#undo(config);
      throw error;
    }
  }

  /** Nothing stays of one that was refused; one that was in for a moment stays known, so that its peer is taken away. */
  async #undo(config: ClientConfig): Promise<void> {
    const connection = await this.#options.ledger.ofClientConfig(config.id);
    if (connection === undefined) return await this.#options.devices.drop(config.id);
    await this.end(config, "rejected", { reason: "rejected", detail: "its client config could not be handed out" });
  }

  async #replace(userId: string, profileId: string, publicKey: string): Promise<void> {
    const [former] = await this.#options.devices.withKey(profileId, publicKey);
    if (former === undefined || former.revokedAt !== null) return;
    if (former.userId !== userId) throw new SallyportError("conflict", "this key belongs to a device of another user");
    await this.end(former, "replaced", { reason: "replaced", detail: "its key was given a new client config" });
  }

  /** Undefined where there is nothing to do: it is in, or is kept out. */
  async #letIn(profileId: string, publicKey: string, clientAddress?: string): Promise<DeviceAnswer | undefined> {
    return await this.#alone(profileId, publicKey, async () => {
      const working = await this.#options.devices.withKey(profileId, publicKey);
      const config = working.find(({ revokedAt }) => revokedAt === null);
      const trigger = clientAddress === undefined ? "config" : "handshake";
      if (config === undefined || !this.#mayBeIn(config) || this.#profile(profileId).trigger !== trigger) {
        if (this.#options.profile(profileId)?.trigger === "handshake") await this.#options.synchronise(profileId);
        return undefined;
      }
      if ((await this.#options.ledger.ofClientConfig(config.id)) !== undefined) return undefined;
      const presharedKey = await this.#options.devices.presharedKey(config.id);
      return await this.#options.connect({
        profileId,
        device: { clientConfigId: config.id, publicKey, trigger },
        presharedKey: presharedKey === null ? null : new Secret(presharedKey),
        clientAddress: clientAddress ?? hostOf(config.endpoint) ?? "127.0.0.1",
      });
    });
  }

  #shouldBeIn(config: ClientConfig): boolean {
    return this.#mayBeIn(config) && this.#options.profile(config.profileId)?.trigger === "config";
  }

  #mayBeIn({ issuedAt, awayAt, revokedAt, expiresAt }: ClientConfig): boolean {
    const works = revokedAt === null && Date.parse(expiresAt) > this.#now().getTime();
    return works && issuedAt !== undefined && awayAt === undefined;
  }

  /** One thing at a time with one key. */
  async #alone<T>(profileId: string, publicKey: string, work: () => Promise<T>): Promise<T> {
    const name = JSON.stringify([profileId, publicKey]);
    const before = this.#busy.get(name) ?? Promise.resolve();
    const mine = before.catch(() => undefined).then(work);
    this.#busy.set(name, mine);
    try {
      return await mine;
    } finally {
      if (this.#busy.get(name) === mine) this.#busy.delete(name);
    }
  }

  #profile(id: string): DeviceProfile {
    const profile = this.#options.profile(id);
    if (profile === undefined)
      throw new SallyportError("not-found", `there is no WireGuard profile ${JSON.stringify(id)}`);
    return profile;
  }

  #now(): Date {
    return this.#options.now?.() ?? new Date();
  }
}
