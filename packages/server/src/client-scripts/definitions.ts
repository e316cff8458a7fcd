import { isReservedVariable, isScriptName, isVariableName, mostScriptBytes, sha256 } from "@sallyport/protocol";
import { SallyportError } from "../core/errors.ts";
import type {
  ClientScriptStore,
  ListedScopedScript,
  ScopedScript,
  ScopedVariable,
  ScriptOwner,
  ScriptScope,
} from "../store/client-script-store.ts";

/** What administrators do with scripts for users' machines. A change holds from the next connect. */
export type ClientScriptDefinitions = {
  /**
   * Makes a text live in its scope, as its next version; nothing changes where it is so already. An empty one keeps the
   * default's script away from a group.
   */
  set(script: { scope: ScriptScope; name: string; text: string; by: string }): Promise<ListedScopedScript>;
  /** The live version unless one is named. */
  show(scope: ScriptScope, version?: number): Promise<ScopedScript>;
  versions(scope: ScriptScope): Promise<ListedScopedScript[]>;
  list(owner?: ScriptOwner): Promise<ListedScopedScript[]>;
  delete(scope: ScriptScope): Promise<void>;
  variables(owner?: ScriptOwner): Promise<ScopedVariable[]>;
  setVariable(variable: ScopedVariable): Promise<void>;
  deleteVariable(scope: ScriptScope, name: string): Promise<void>;
};

const mostValueBytes = 8 * 1024;
const mostVariables = 200;

export function createClientScripts(options: {
  store: ClientScriptStore;
  groupExists: (name: string) => Promise<boolean>;
  now?: () => Date;
}): ClientScriptDefinitions {
  const { store } = options;
  const now = () => (options.now?.() ?? new Date()).toISOString();

  const checkOwner = async (owner: ScriptOwner): Promise<void> => {
    if (owner.kind === "group" && !(await options.groupExists(owner.name)))
      throw new SallyportError("not-found", `there is no group ${JSON.stringify(owner.name)}`);
  };

  return {
    async set({ scope, name, text, by }) {
      await checkOwner(scope.owner);
      if (!isScriptName(name))
        throw new SallyportError(
          "invalid-input",
          "a script's name is 1 to 100 letters, digits, dots, hyphens, underscores and spaces, and begins with a letter or digit",
        );
      const whole = checkedText(text);
      const present = await store.get(scope);
      if (present !== undefined && present.text === whole && present.name === name) return listed(present);
      const made = { scope, name, text: whole, sha256: sha256(whole), createdAt: now(), createdBy: by };
      return listed(await store.add(made));
    },

    async show(scope, version) {
      const found = await store.get(scope, version);
      if (found !== undefined) return found;
      throw new SallyportError(
        "not-found",
        version === undefined
          ? `nothing is set for ${scopeWords(scope)}`
          : `the script for ${scopeWords(scope)} has no version ${version}`,
      );
    },

    async versions(scope) {
      const versions = await store.versions(scope);
      if (versions.length > 0) return versions;
      throw new SallyportError("not-found", `nothing was ever set for ${scopeWords(scope)}`);
    },

    async list(owner) {
      if (owner !== undefined) await checkOwner(owner);
      return await store.list(owner);
    },

    async delete(scope) {
      if (await store.remove(scope)) return;
      throw new SallyportError("not-found", `nothing is set for ${scopeWords(scope)}`);
    },

    async variables(owner) {
      if (owner !== undefined) await checkOwner(owner);
      return await store.variables(owner);
    },

    async setVariable(variable) {
      const { scope, name, value } = variable;
      await checkOwner(scope.owner);
      checkVariable(name, value);
      const others = (await store.variables(scope.owner)).filter((one) => one.name !== name);
      if (others.length >= mostVariables)
        throw new SallyportError("conflict", `there are ${mostVariables} variables already; delete one first`);
      await store.setVariable(variable);
    },

    async deleteVariable(scope, name) {
      if (await store.deleteVariable(scope, name)) return;
      throw new SallyportError("not-found", `${name} is not set for ${scopeWords(scope)}`);
    },
  };
}

function listed({ text, ...live }: ScopedScript): ListedScopedScript {
  return { ...live, bytes: Buffer.byteLength(text), live: true };
}

/** UTF-8 without NUL bytes, of bounded length, without a byte order mark: in front of `#!` it would hide it. */
function checkedText(given: string): string {
  const text = given.replace(/^\uFEFF/, "");
  const bytes = Buffer.byteLength(text);
  const refuse = (why: string) => new SallyportError("invalid-input", `the script ${why}`);
  if (bytes > mostScriptBytes) throw refuse(`has ${bytes} bytes; at most ${mostScriptBytes} can be handed out`);
  if (!text.isWellFormed()) throw refuse("is not valid Unicode");
  if (text.includes("\0")) throw refuse("holds a NUL byte; is it a text file?");
  return text;
}

function checkVariable(name: string, value: string): void {
  const refuse = (why: string) => new SallyportError("invalid-input", why);
  if (!isVariableName(name))
    throw refuse("a variable's name is letters, digits and underscores, and does not begin with a digit");
  if (isReservedVariable(name))
    throw refuse(
      `${name} cannot be set: the agent sets it, or it would change which program runs (PREPATH adds to PATH)`,
    );
  if (Buffer.byteLength(value) > mostValueBytes) throw refuse(`${name} may hold at most ${mostValueBytes} bytes`);
  if (!value.isWellFormed() || value.includes("\0")) throw refuse(`${name} must be valid UTF-8 without NUL bytes`);
}

/** A scope in words: `group "eng", linux, user, connect`. */
export function scopeWords({ owner, platform, privilege, event }: ScriptScope): string {
  const whose = owner.kind === "default" ? "the default" : `the group ${JSON.stringify(owner.name)}`;
  return `${whose} (${platform}, ${privilege}, ${event})`;
}
