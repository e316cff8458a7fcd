import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { accepted, alice, ldapUnderTest, login, unreachable, wrong } from "./ldap-under-test.ts";
import { service } from "./slapd.ts";
import { startTcpRelay } from "./tcp-relay.ts";

const { certificates, cleanUp, methodOf, other, plain, secure, slapd } = ldapUnderTest();

describe("TLS", () => {
  const trusting = () => ({ ssl_ca_cert: certificates().ca });

  test.each([
    ["LDAPS", "always", secure],
    ["StartTLS", "starttls", plain],
    ["StartTLS where it is offered", "adaptive", plain],
  ])(
    "%s works with a certificate that is trusted, and the password never goes in the clear",
    async (_name, word, host) => {
      const relay = await startTcpRelay(Number(host().split(":")[1]));
      cleanUp.push(() => relay.stop());
      const method = methodOf([`127.0.0.1:${relay.port}`], { ...trusting(), use_ssl: word });
      expect(await method.check(alice)).toEqual(accepted("alice"));
      expect(await method.check(login("alice", "wrong"))).toEqual(wrong("wrong user name or password"));
      expect(relay.sent().includes("wonder land")).toBe(false);
      expect(relay.sent().includes(service.password)).toBe(false);
    },
  );

  test("a host name is held against the certificate as an address is", async () => {
    const method = methodOf([`localhost:${slapd().tlsPort}`], { ...trusting(), use_ssl: "always" });
    expect(await method.check(alice)).toEqual(accepted("alice"));
  });

  test.each([
    ["always", secure],
    ["starttls", plain],
    ["adaptive", plain],
  ])("with use_ssl %s a CA that is not trusted is an outage that says what to set", async (word, host) => {
    expect(await methodOf([host()], { use_ssl: word }).check(alice)).toEqual(unreachable("auth.ldap.0.ssl_ca_cert"));
  });

  test("a certificate for another name, or expired, is an outage that says so, by LDAPS and by StartTLS", async () => {
    for (const [certificate, words] of [
      ["other", "for another name"],
      ["expired", "has expired"],
    ] as const) {
      const one = await other(certificate);
      const byLdaps = methodOf([`127.0.0.1:${one.tlsPort}`], { ...trusting(), use_ssl: "always" });
      expect(await byLdaps.check(alice)).toEqual(unreachable(words));
      const byStartTls = methodOf([`127.0.0.1:${one.port}`], { ...trusting(), use_ssl: "starttls" });
      expect(await byStartTls.check(alice)).toEqual(unreachable(words));
      const careless = methodOf([`127.0.0.1:${one.tlsPort}`], { use_ssl: "always", ssl_verify: "never" });
      expect(await careless.check(alice)).toEqual(accepted("alice"));
    }
  });

  test("StartTLS that is demanded and not offered is an outage; where it is only preferred, plain is used", async () => {
    const one = await other(undefined);
    const host = [`127.0.0.1:${one.port}`];
    expect(await methodOf(host, { ...trusting(), use_ssl: "starttls" }).check(alice)).toEqual(
      unreachable("does not do StartTLS"),
    );
    expect(await methodOf(host, { ...trusting(), use_ssl: "adaptive" }).check(alice)).toEqual(accepted("alice"));
  });

  test("an answer slipped in before TLS begins is not read as the directory's", async () => {
    // Half of "bind succeeded", to be completed by the first byte that comes through TLS.
    const forged = Buffer.from("300d02010261080a010004000401", "hex");
    let slipped = false;
    const relay = await startTcpRelay(slapd().port, (from, data) => {
      if (from !== "server" || slipped) return data;
      slipped = true;
      return Buffer.concat([data, forged]);
    });
    cleanUp.push(() => relay.stop());
    const method = methodOf([`127.0.0.1:${relay.port}`], { ...trusting(), use_ssl: "starttls" });
    expect(await method.check(login("alice", "wrong"))).toEqual(unreachable("in the clear"));
    expect(slipped).toBe(true);
  });

  test("a file of CAs that is missing or holds none is an outage that names it, and is read again when it is there", async () => {
    const file = join(certificates().directory, "late.pem");
    const method = methodOf([secure()], { use_ssl: "always", ssl_ca_cert: file });
    expect(await method.check(alice)).toEqual(unreachable(file));
    await writeFile(file, "nothing");
    expect(await method.check(alice)).toEqual(unreachable("holds no PEM certificate"));
    const { readFile } = await import("node:fs/promises");
    await writeFile(file, await readFile(certificates().ca));
    expect(await method.check(alice)).toEqual(accepted("alice"));
  });

  test("after a lost connection the next one is secured again before anything is sent", async () => {
    const relay = await startTcpRelay(slapd().port);
    cleanUp.push(() => relay.stop());
    const method = methodOf([`127.0.0.1:${relay.port}`], { ...trusting(), use_ssl: "starttls" });
    expect(await method.check(alice)).toEqual(accepted("alice"));
    relay.cut();
    expect(await method.check(alice)).toEqual(accepted("alice"));
    expect(relay.connections()).toBe(4);
    expect(relay.sent().includes("wonder land")).toBe(false);
  });
});
