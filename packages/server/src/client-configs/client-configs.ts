import { SallyportError } from "../core/errors.ts";
import { newId } from "../core/id.ts";
import { whyNoUserName } from "../core/user-name.ts";
import type { ClientConfig, ClientConfigKind, ClientConfigStore } from "../store/store.ts";
import { type Authority, serverName } from "./authority.ts";
import { type OpenVpnProfile, openVpnFile, type StaticChallenge } from "./openvpn-file.ts";

export type { OpenVpnProfile, StaticChallenge };

export type OpenVpnOrder = {
  kind: ClientConfigKind;
  /** Null for server-locked ones, which belong to nobody. */
  userId: string | null;
  profile: OpenVpnProfile;
  /** Ten years unless said otherwise; never beyond the authority's own end. */
  validForMs?: number;
  /** Where a script asks for it (`STATIC_CHALLENGE`). */
  staticChallenge?: StaticChallenge | undefined;
  /** Comment lines for agents. */
  comments?: readonly string[];
};

/** The files devices get: made, listed and revoked. */
export interface ClientConfigs {
  /**
   * Makes a device's file. The private key is in `text` and nowhere else; the record is kept before it is handed out.
   * @throws SallyportError `invalid-input` for an order that cannot be.
   */
  issueOpenVpn(order: OpenVpnOrder): Promise<{ config: ClientConfig; text: string }>;
  /** Revoked ones too. */
  list(filter?: { userId?: string; profileId?: string }): Promise<ClientConfig[]>;
  /** @throws SallyportError `not-found`, or `conflict` where it is revoked already. */
  revoke(id: string): Promise<ClientConfig>;
  /** Certificates revoked so far that have not expired, as PEM for `crl-verify`. */
  revocationList(): Promise<string>;
}

const usuallyValidForMs = 10 * 365 * 86_400_000;
const longestValidForMs = 100 * 365 * 86_400_000;

export function createClientConfigs(options: {
  authority: Authority;
  store: ClientConfigStore;
  now?: () => Date;
}): ClientConfigs {
  const { authority, store } = options;
  const now = options.now ?? (() => new Date());

  return {
    async issueOpenVpn(order) {
      checkOrder(order);
      const { kind, userId, profile } = order;
      // The certificate's common name is the config's id: unique, and of safe characters whoever the user is.
      const id = newId();
      const createdAt = now().toISOString();
      const device = await authority.newDevice({ commonName: id, validForMs: order.validForMs ?? usuallyValidForMs });
      const config: ClientConfig = {
        id,
        userId,
        profileId: profile.id,
        kind,
        protocol: "openvpn",
        connectionId: id,
        serial: device.serial,
        createdAt,
        expiresAt: device.notAfter.toISOString(),
        revokedAt: null,
      };
      const { certificatePem, keyPem, tlsCryptV2Pem } = device;
      const text = openVpnFile({
        config,
        profile,
        serverName: serverName(profile.id),
        staticChallenge: order.staticChallenge,
        comments: order.comments ?? [],
        caPem: authority.caPem,
        certificatePem,
        keyPem,
        tlsCryptV2Pem,
      });
      await store.add(config);
      return { config, text };
    },

    list: (filter) => store.list(filter),

    async revoke(id) {
      const revoked = await store.revoke(id, now().toISOString());
      const config = await store.get(id);
      if (!config)
        throw new SallyportError("not-found", `there is no client config ${JSON.stringify(id.slice(0, 80))}`);
      if (!revoked)
        throw new SallyportError("conflict", `client config ${id} was revoked at ${config.revokedAt} already`);
      return config;
    },

    async revocationList() {
      const present = now().toISOString();
      const revoked = (await store.list()).flatMap(({ serial, revokedAt, expiresAt }) =>
        serial !== null && revokedAt !== null && expiresAt > present ? [{ serial, revokedAt }] : [],
      );
      return authority.revocationList(revoked);
    },
  };
}

function checkOrder({ kind, userId, profile, validForMs = usuallyValidForMs }: OpenVpnOrder): void {
  const refuse = (why: string) => new SallyportError("invalid-input", why);
  if (kind === "server-locked" && userId !== null) throw refuse("a server-locked client config belongs to no user");
  if (kind !== "server-locked" && userId === null) throw refuse(`a ${kind} client config belongs to a user`);
  const wrongName = userId === null ? undefined : whyNoUserName(userId);
  if (wrongName !== undefined) throw refuse(`this cannot be the name of a user: ${wrongName}`);
  if (!/^[A-Za-z0-9.:-]{1,200}$/.test(profile.hostName)) throw refuse("this cannot be the name of a host");
  if (profile.listeners.length === 0) throw refuse(`the profile ${profile.id} listens nowhere`);
  if (!(validForMs >= 1000 && validForMs <= longestValidForMs))
    throw refuse("a client config is valid for 1 s to 100 years");
}
