import Fastify, { type FastifyInstance } from "fastify";
import { afterEach, expect, test } from "vitest";
import { type SamlService, samlRoutes } from "../../src/api/saml.ts";
import type { Log } from "../../src/core/log.ts";

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };
let app: FastifyInstance;

const service: SamlService = {
  metadata: () => "<EntityDescriptor/>",
  origin: "https://vpn.example.org",
  asked: (id) => (id === "known" ? { username: "<b>alice", address: "192.0.2.7" } : undefined),
  signOnUrl: async (id) => (id === "known" ? "https://idp.example.org/sso?SAMLRequest=x" : undefined),
  accept: async ({ response }) => (response === "good" ? { word: "word" } : { refused: "the issuer is hunter2" }),
};

function start(given: { service?: SamlService | undefined; waiting?: boolean } = { service }) {
  const answers: [string, string][] = [];
  app = Fastify();
  samlRoutes({
    service: async () => given.service,
    answer: (stateId, response) => {
      answers.push([stateId, response.reveal()]);
      return given.waiting ?? true;
    },
    log: silent,
  })(app);
  return answers;
}

afterEach(() => app.close());

const post = (fields: Record<string, string>) =>
  app.inject({
    method: "POST",
    url: "/saml/acs",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    payload: new URLSearchParams(fields).toString(),
  });
const login = (remoteAddress: string, id = "known") => app.inject({ url: `/saml/login/${id}`, remoteAddress });

test("what is believed answers the tunnel that waits, and nothing else does", async () => {
  const answers = start();
  expect((await post({ SAMLResponse: "good", RelayState: "known" })).statusCode).toBe(200);
  const refused = await post({ SAMLResponse: "bad", RelayState: "known" });
  expect(refused.statusCode).toBe(403);
  expect(refused.body).not.toContain("hunter2");
  for (const fields of [{}, { SAMLResponse: "good" }, { RelayState: "known" }] as Record<string, string>[]) {
    expect((await post(fields)).statusCode).toBe(400);
  }
  expect(answers).toEqual([["known", "word"]]);
});

test("a person whose VPN client has gone meanwhile is told to connect again", async () => {
  start({ service, waiting: false });
  const { statusCode, body } = await post({ SAMLResponse: "good", RelayState: "known" });
  expect([statusCode, body]).toEqual([410, expect.stringContaining("connect the VPN again")]);
});

test("a browser at the client's address goes on at once, also where it is written as IPv6", async () => {
  start();
  for (const address of ["192.0.2.7", "::ffff:192.0.2.7"]) {
    expect((await login(address)).headers.location).toBe("https://idp.example.org/sso?SAMLRequest=x");
  }
});

test("a browser elsewhere is asked first, with names that cannot become markup", async () => {
  start();
  const { statusCode, body, headers } = await login("198.51.100.1");
  expect([statusCode, headers.location]).toEqual([200, undefined]);
  expect(body).toContain("192.0.2.7");
  expect(body).not.toContain("<b>");
  expect((await login("192.0.2.7", "unknown")).statusCode).toBe(410);
});

test("nothing is there while SAML is not set up", async () => {
  start({ service: undefined });
  expect((await login("192.0.2.7")).statusCode).toBe(404);
  expect((await post({ SAMLResponse: "good", RelayState: "known" })).statusCode).toBe(404);
  expect((await app.inject({ url: "/saml/metadata" })).statusCode).toBe(404);
});
