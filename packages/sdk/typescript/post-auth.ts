import type { Answer } from "./answers.ts";
import type { PostAuthContext } from "./context.ts";
import type { JsonObject } from "./json.ts";
import type { PostAuthRequest } from "./request.ts";

/** Read once, when the script is loaded. */
export type PostAuthOptions<Settings extends JsonObject = JsonObject> = {
  /**
   * The script's settings with their defaults. An administrator overlays them without touching the script; a value of
   * another type, or a name that is not here, is refused then.
   */
  settings?: Settings;
  /**
   * Throws what is wrong with settings whose types are right. Called before the script is live and whenever somebody
   * changes them; a script that cannot work with its defaults says so here.
   */
  checkSettings?: (settings: Settings) => void;
  /** Never two calls at once. */
  synchronous?: boolean;
  /** The script decides alone: nobody has checked the password. */
  authNull?: boolean;
  /** `request.password` is there. */
  retainPassword?: boolean;
  /** The script is asked before the user's properties are looked up, and what it saves counts at once. */
  groupSelect?: boolean;
  /** Asked together with the password, by every client config issued from now on. */
  staticChallenge?: string | { text: string; echo: boolean };
  /** Certificate attributes to be reported in `request.certificateFields`: `CN`, `+serialNumber` (of the whole chain), … */
  certificateFields?: readonly string[];
};

export type Decide<Settings extends JsonObject = JsonObject> = (
  request: PostAuthRequest,
  ctx: PostAuthContext<Settings>,
) => Answer | Promise<Answer>;

/** What a script exports by default. Made by `definePostAuth`; nothing in it is for anybody but the server. */
export type PostAuthScript = {
  readonly kind: "sallyport-post-auth";
  readonly options: PostAuthOptions;
  readonly decide: Decide;
};

/**
 * Declares a post-auth script: `export default definePostAuth((request, ctx) => allow())`. It is called for everybody
 * who was authenticated; anything but an answer (an exception, a wrong type, no answer within the deadline) denies.
 */
export function definePostAuth(decide: Decide): PostAuthScript;
export function definePostAuth<Settings extends JsonObject>(
  options: PostAuthOptions<Settings>,
  decide: Decide<Settings>,
): PostAuthScript;
export function definePostAuth(first: Decide | PostAuthOptions, second?: Decide): PostAuthScript {
  const [options, decide] = typeof first === "function" ? [{}, first] : [first, second];
  if (typeof decide !== "function" || typeof options !== "object" || options === null) {
    throw new TypeError("definePostAuth takes a function, or options and a function");
  }
  return { kind: "sallyport-post-auth", options, decide };
}
