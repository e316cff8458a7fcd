import type { Method } from "./method.ts";
import { type SamlOptions, samlPaths } from "./saml-options.ts";
import type { SamlSignIns } from "./saml-sign-ins.ts";

/**
 * An identity provider, by way of the user's browser: the client opens a page of ours, and its tunnel is answered when
 * the browser comes back with a signed assertion. What was typed as a password is not looked at.
 */
export function samlMethod(options: SamlOptions, signIns: SamlSignIns): Method {
  return {
    name: "saml",
    async check({ username, clientAddress }) {
      const id = signIns.begin({ username, address: clientAddress });
      if (id === undefined) return { outcome: "unreachable", reason: "too many SAML sign-ins are under way" };
      return {
        outcome: "challenged",
        text: "Please sign in with your browser",
        echo: true,
        state: { id, username },
        web: { id, url: `${options.baseUrl}${samlPaths.login}${id}` },
      };
    },
    async resume({ id, username }, response) {
      const person = signIns.take(String(id), response.reveal());
      if (person === undefined) {
        return { outcome: "wrong", reason: "SAML auth failed: the answer is of no sign-in that a browser finished" };
      }
      if (person.userId !== username) {
        const who = `${person.userId} signed in at the identity provider, the VPN client named ${username}`;
        return { outcome: "wrong", reason: `SAML auth failed: ${who}` };
      }
      const info = { saml_attr: person.attributes };
      return { outcome: "accepted", userId: person.userId, reason: "SAML auth succeeded", info };
    },
  };
}
