type Need = "user" | "key" | "value" | "password";

/** What `sacli` can be told to do, and what each verb cannot do without. Access Server's names. */
export const sacliVerbs = {
  ConfigPut: { needs: ["key", "value"], summary: "sets a setting" },
  ConfigDel: { needs: ["key"], summary: "deletes a setting" },
  ConfigQuery: { needs: [], summary: "all settings, or the one that --key names" },
  UserPropPut: { needs: ["user", "key", "value"], summary: "sets a property of a user, a group or __DEFAULT__" },
  UserPropGet: { needs: [], summary: "all records, or those that --user, --pfilt or --tfilt choose" },
  UserPropDel: { needs: ["user", "key"], summary: "deletes a property" },
  UserPropDelAll: { needs: ["user"], summary: "deletes a user or group with all properties" },
  SetLocalPassword: { needs: ["user", "password"], summary: "sets a user's password" },
  RemoveLocalPassword: { needs: ["user"], summary: "makes the local method impossible for a user" },
  VPNStatus: { needs: [], summary: "who is connected, by VPN daemon" },
  VPNSummary: { needs: [], summary: "how many are connected" },
  DisconnectUser: { needs: ["user"], summary: "ends a user's connections" },
  GetUserlogin: { needs: ["user"], summary: "prints a new device file for this user, used with a password" },
  GetAutologin: { needs: ["user"], summary: "prints a new device file that needs no password (prop_autologin)" },
  RevokeUser: { needs: ["user"], summary: "refuses all of a user's devices from now on" },
  start: { needs: [], summary: "nothing: what was set holds already; prints the status" },
  status: { needs: [], summary: "whether the services are up" },
  Version: { needs: [], summary: "what answers here" },
} as const satisfies Record<string, { needs: readonly Need[]; summary: string }>;

/** Verbs that answer with a file instead of JSON. */
export const textVerbs: readonly string[] = ["GetUserlogin", "GetAutologin"];

export type SacliVerb = keyof typeof sacliVerbs;

export function isSacliVerb(word: string): word is SacliVerb {
  return Object.hasOwn(sacliVerbs, word);
}
