/** Guarantees: the user name and password are clean text, and OpenVPN's challenge forms are taken apart. */
import { Secret } from "../../core/secret.ts";
import { whyNoUserName } from "../../core/user-name.ts";
import { denied, passed, type Step } from "../step.ts";

const longestPasswordBytes = 4096;

export const decodeCredentials: Step = {
  name: "decode credentials",
  async run({ request }) {
    const username = request.username === "" ? undefined : request.username;
    const password = request.password?.reveal();
    const wrongName = username === undefined ? undefined : whyNoUserName(username);
    if (wrongName !== undefined) {
      return denied("credentials-malformed", `this cannot be a user's name: ${wrongName}`);
    }
    if (password !== undefined && !isCleanPassword(password)) {
      return denied("credentials-malformed", "the password holds a NUL byte or broken UTF-8, or is too long");
    }
    if (password?.startsWith("SCRV1:")) {
      const parts = password.split(":");
      const [first, second] = parts.slice(1).map(fromBase64);
      if (parts.length !== 3 || first === undefined || second === undefined) {
        return denied("credentials-malformed", "the answer to the static challenge is not SCRV1:base64:base64");
      }
      const credentials = {
        username,
        password: new Secret(first),
        staticResponse: new Secret(second),
        challenge: undefined,
      };
      return passed("a password and the answer to a static challenge", { credentials });
    }
    if (password?.startsWith("CRV1:")) {
      const [, , stateId, , ...response] = password.split(":");
      if (!stateId || response.length === 0) {
        return denied("credentials-malformed", "the answer to the challenge is not CRV1::state::answer");
      }
      const challenge = { stateId, response: new Secret(response.join(":")) };
      return passed("the answer to a challenge", {
        credentials: { username, password: undefined, staticResponse: undefined, challenge },
      });
    }
    return passed(username === undefined ? "no user name" : "a user name and a password", {
      credentials: { username, password: request.password, staticResponse: undefined, challenge: undefined },
    });
  },
};

function isCleanPassword(password: string): boolean {
  return Buffer.byteLength(password) <= longestPasswordBytes && password.isWellFormed() && !/\0/.test(password);
}

function fromBase64(text: string): string | undefined {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  const decoded = new TextDecoder("utf-8", { fatal: true });
  try {
    const plain = decoded.decode(Buffer.from(text, "base64"));
    return plain.includes("\0") ? undefined : plain;
  } catch {
    return undefined;
  }
}
