import type { FastifyReply } from "fastify";
import type { Log } from "../core/log.ts";
import { Secret } from "../core/secret.ts";
import { page, type Routes } from "./http.ts";

/** Our side of SAML as it is set up now; undefined where it is not, or wrongly. */
export type SamlService = {
  metadata(): string;
  signOnUrl(id: string): Promise<string | undefined>;
  accept(posted: { id: string; response: string }): Promise<{ word: string } | { refused: string }>;
};

/** `/saml/metadata` for identity providers; `/saml/login/ID` and `/saml/acs` for browsers of people at a VPN client. */
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
      const url = await saml.signOnUrl(request.params.id);
      return url === undefined ? over(reply) : await reply.redirect(url);
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
