import { fastify } from "fastify";
import { expect, test } from "vitest";
import { metricsRoutes } from "../../src/api/metrics.ts";
import { parseRange } from "../../src/core/address-range.ts";
import { Secret } from "../../src/core/secret.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };

async function ask(given: { from: string; authorization?: string; token?: string }) {
  const app = fastify();
  const allow = [parseRange("127.0.0.0/8"), parseRange("fd00::/8")].flatMap((range) => range ?? []);
  const token = given.token === undefined ? null : new Secret(given.token);
  metricsRoutes({ terms: () => ({ allow, token }), text: async () => "sallyport_ready 1\n", log: silent })(app);
  const { from: remoteAddress, authorization } = given;
  const headers = authorization === undefined ? {} : { authorization };
  const { statusCode, body } = await app.inject({ url: "/metrics", remoteAddress, headers });
  await app.close();
  return { statusCode, body };
}

test("the figures are told to the networks that may know them, whichever family the socket has", async () => {
  expect(await ask({ from: "127.0.0.1" })).toEqual({ statusCode: 200, body: "sallyport_ready 1\n" });
  expect((await ask({ from: "::ffff:127.0.0.1" })).statusCode).toBe(200);
  expect((await ask({ from: "fd00::7" })).statusCode).toBe(200);
});

test("anybody else is told nothing but where to look", async () => {
  const { statusCode, body } = await ask({ from: "192.0.2.7" });
  expect(statusCode).toBe(403);
  expect(body).not.toContain("sallyport_ready");
  expect(body).toContain("docs/metrics.md");
});

test("with the token they are told anywhere, and without a token of ours no token helps", async () => {
  const from = "192.0.2.7";
  expect((await ask({ from, authorization: "Bearer s3cret", token: "s3cret" })).statusCode).toBe(200);
  expect((await ask({ from, authorization: "bearer s3cret", token: "s3cret" })).statusCode).toBe(200);
  for (const authorization of ["Bearer s3cre", "Bearer s3cret2", "Bearer ", "s3cret", "Basic s3cret"])
    expect((await ask({ from, authorization, token: "s3cret" })).statusCode).toBe(403);
  expect((await ask({ from, authorization: "Bearer null" })).statusCode).toBe(403);
});
