import type { FastifyReply } from "fastify";
import { parseAddress } from "../core/address-range.ts";
import type { Log } from "../core/log.ts";
import { Secret } from "../core/secret.ts";
import { page, type Routes } from "./http.ts";

/** Our side of SAML as it is set up now; undefined where it is not, or wrongly. */
export type SamlService = {
  metadata(): string;
  origin: string;
  asked(id: string): { username: string; address: string | undefined } | undefined;
  signOnUrl(id: string): Promise<string | undefined>;
  accept(posted: { id: string; response: string }): Promise<{ word: string } | { refused: string }>;
};

/**
 * `/saml/metadata` for identity providers; `/saml/login/ID` and `/saml/acs` for browsers of people at a VPN client. A
 * browser at another address than the client is asked first whether it was its user who connected: whoever is talked
 * into opening the page of a stranger's client would let the stranger in.
 */
export function samlRoutes(options: {
  service: () => Promise<SamlService | undefined>;
  /** Answers the tunnel that waits; false where it is gone. */
  answer: (stateId: string, response: Secret) => boolean;
  log: Log;
}): Routes {
  const { service, log } = options;
  const show = (reply: FastifyReply, status: number, title: string, text: string) =>
    reply.code(status).type("text/html").send(page(title, text));
  const notSetUp = (reply: FastifyReply) => show(reply, 404, "Not found", "SAML is not set up on this server.");
  const over = (reply: FastifyReply) =>
    show(reply, 410, "This sign-in is over", "Please connect the VPN again; your browser will come back here.");

  const signOn = async (saml: SamlService, id: string, reply: FastifyReply) => {
    const url = await saml.signOnUrl(id);
    return url === undefined ? over(reply) : await reply.redirect(url, 303);
  };

  return (app) => {
    app.addContentTypeParser(
      "application/x-www-form-urlencoded",
      { parseAs: "string" },
      async (_request: unknown, body: string | Buffer) => Object.fromEntries(new URLSearchParams(body.toString())),
    );
    app.get("/saml/metadata", async (_request, reply) => {
      const saml = await service();
      if (saml === undefined) return notSetUp(reply);
      return await reply.type("application/samlmetadata+xml").send(saml.metadata());
    });
    app.get<{ Params: { id: string } }>("/saml/login/:id", async (request, reply) => {
      const saml = await service();
      if (saml === undefined) return notSetUp(reply);
      const asked = saml.asked(request.params.id);
      if (asked === undefined) return over(reply);
      const browser = parseAddress(request.ip);
      if (asked.address !== browser) {
        const whose = `A VPN client at ${asked.address ?? "an unknown address"} wants to connect as ${asked.username}.`;
        const advice = `Your browser is at ${browser}. Go on only if it was you who connected just now.`;
        const button = { action: `/saml/login/${request.params.id}`, label: "It was me: sign in" };
        return await reply.type("text/html").send(page("Is this your VPN?", `${whose} ${advice}`, button));
      }
      return await signOn(saml, request.params.id, reply);
    });
    app.post<{ Params: { id: string } }>("/saml/login/:id", async (request, reply) => {
      const saml = await service();
      if (saml === undefined) return notSetUp(reply);
      // Pressed on our own page, not sent by somebody else's.
      if (request.headers.origin !== saml.origin) return over(reply);
      return await signOn(saml, request.params.id, reply);
    });
    app.post<{ Body: unknown }>("/saml/acs", async (request, reply) => {
      const saml = await service();
      if (saml === undefined) return notSetUp(reply);
      const { SAMLResponse: response, RelayState: id } = (request.body ?? {}) as Record<string, unknown>;
      if (typeof response !== "string" || typeof id !== "string") {
        return show(reply, 400, "This sign-in cannot be read", "Please connect the VPN again.");
      }
      const result = await saml.accept({ id, response });
      if ("refused" in result) {
        log.warn({ reason: result.refused, address: request.ip }, "what a browser brought from SAML was refused");
        return show(reply, 403, "You are not signed in", "Please connect the VPN again, or ask your administrator.");
      }
      if (!options.answer(id, new Secret(result.word))) return over(reply);
      return show(reply, 200, "You are signed in", "The VPN goes on connecting. You can close this window.");
    });
  };
}
