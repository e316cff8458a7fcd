import { parseRange } from "../core/address-range.ts";
import { SallyportError } from "../core/errors.ts";
import type { Properties, PropertyOwner } from "../core/properties.ts";
import type { Secret } from "../core/secret.ts";
import { whyNoUserName } from "../core/user-name.ts";
import type { AccountStore } from "../store/store.ts";
import { allSubnets, subnetPosition } from "./lookup.ts";
import { checkNewPassword, type Passwords } from "./passwords.ts";
import { checkPropertyKey, checkPropertyValue, shown } from "./property-rules.ts";

/** The directory of users, groups and properties: what may be written into it, and the writing. */
export interface Directory {
  /** False where the user exists already. Without a password it cannot log in by the local method. */
  addUser(user: { id: string; password: Secret | undefined }): Promise<boolean>;
  /** False where there is no such user. */
  setPassword(id: string, password: Secret): Promise<boolean>;
  /** The password is the one with this SHA-256 (64 hex digits). False where there is no such user. */
  adoptPassword(id: string, sha256: Secret): Promise<boolean>;
  /** Makes the local method impossible. False where there is no such user. */
  removePassword(id: string): Promise<boolean>;
  /** False where the group exists already. */
  addGroup(id: string): Promise<boolean>;
  /**
   * All of the values or none. A user need not have an account here (a directory's users have none); a group must exist.
   * @throws SallyportError `invalid-input` where a known property cannot have its value, `not-found` for an unknown
   * group as owner or as `conn_group`, `conflict` where a subnet overlaps another group's.
   */
  setProperties(owner: PropertyOwner, values: Properties): Promise<void>;
}

const mostProperties = 1000;

/** Names and values that cannot be are `invalid-input`. */
export function createDirectory(options: {
  store: AccountStore;
  passwords: Pick<Passwords, "hash" | "hashSha256">;
  now?: () => Date;
}): Directory {
  const { store, passwords } = options;
  const at = () => (options.now?.() ?? new Date()).toISOString();

  const checkGroup = async (name: string): Promise<void> => {
    if (!(await store.group(name)))
      throw new SallyportError("not-found", `there is no group ${shown(name)}; add it with \`sallyport group add\``);
  };

  const checkSubnets = async (owner: PropertyOwner, values: Properties): Promise<void> => {
    const wanted = Object.entries(values).filter(([key]) => subnetPosition(key) !== undefined);
    if (wanted.length === 0) return;
    if (owner.kind !== "group") throw new SallyportError("invalid-input", "group_subnets belong to a group");
    const others = (await allSubnets(store)).filter(({ name }) => name !== owner.name);
    for (const [key, value] of wanted) {
      const range = parseRange(value);
      const other = others.find(({ cidr }) => {
        const taken = parseRange(cidr);
        return range && taken?.family === range.family && taken.first <= range.last && range.first <= taken.last;
      });
      if (other)
        throw new SallyportError(
          "conflict",
          `${key} ${value} overlaps ${other.cidr} of the group ${shown(other.name)}`,
        );
    }
  };

  return {
    async addUser({ id, password }) {
      checkName("user", id);
      if (password) checkNewPassword(password);
      return store.addUser({ id, passwordDigest: password ? await passwords.hash(password) : null, at: at() });
    },

    async setPassword(id, password) {
      checkNewPassword(password);
      if (!(await store.user(id))) return false;
      return store.setPasswordDigest(id, await passwords.hash(password));
    },

    async adoptPassword(id, sha256) {
      if (!/^[0-9a-f]{64}$/i.test(sha256.reveal()))
        throw new SallyportError("invalid-input", "a password's SHA-256 is 64 hexadecimal digits");
      if (!(await store.user(id))) return false;
      return store.setPasswordDigest(id, await passwords.hashSha256(sha256));
    },

    removePassword: (id) => store.setPasswordDigest(id, null),

    async addGroup(id) {
      checkName("group", id);
      return store.addGroup({ id, createdAt: at() });
    },

    async setProperties(owner, values) {
      const entries = Object.entries(values);
      if (entries.length > mostProperties)
        throw new SallyportError("invalid-input", `at most ${mostProperties} properties can be set at once`);
      for (const [key, value] of entries) {
        checkPropertyKey(key);
        checkPropertyValue(key, value);
      }
      if (owner.kind === "user") checkName("user", owner.name);
      if (owner.kind === "group") await checkGroup(owner.name);
      const group = Object.hasOwn(values, "conn_group") ? values.conn_group : undefined;
      if (group !== undefined) await checkGroup(group);
      await checkSubnets(owner, values);
      await store.setProperties(owner, values);
    },
  };
}

function checkName(kind: "user" | "group", name: string): void {
  const why = whyNoUserName(name);
  if (why !== undefined) throw new SallyportError("invalid-input", `${shown(name)} cannot name a ${kind}: ${why}`);
  if (name === "__DEFAULT__")
    throw new SallyportError("invalid-input", "__DEFAULT__ stands behind everybody and is no name");
}
