import { describe, expect, test } from "vitest";
import { until } from "../../waiting.ts";
import { accepted, alice, engineers, ldapUnderTest, login, unreachable, wrong } from "./ldap-under-test.ts";
import { freePort, people, suffix } from "./slapd.ts";
import { startTcpRelay } from "./tcp-relay.ts";

const { certificates, cleanUp, methodOf, other, plain, slapd } = ldapUnderTest();

describe("search and bind", () => {
  test("the right password is accepted, and scripts learn the entry and where it was searched", async () => {
    expect(await methodOf([plain()]).check(alice)).toMatchObject({
      outcome: "accepted",
      userId: "alice",
      reason: "ldap auth succeeded",
      info: { user_dn: `uid=alice,${people}`, search_base: people },
      directory: { uname_attr: "uid" },
    });
  });

  test("a wrong password, a name nobody has and an entry without a password are wrong, not outages", async () => {
    const method = methodOf([plain()]);
    expect(await method.check(login("alice", "wonderland"))).toEqual(wrong("wrong user name or password"));
    expect(await method.check(login("nobody", "x"))).toEqual(wrong("no such user"));
    expect(await method.check(login("carol", "x"))).toEqual(wrong("ldap auth failed"));
  });

  test("an empty password is never accepted, and never sent", async () => {
    const relay = await startTcpRelay(slapd().port);
    cleanUp.push(() => relay.stop());
    expect(await methodOf([`127.0.0.1:${relay.port}`]).check(login("alice", ""))).toEqual(wrong("empty password"));
    expect(relay.connections()).toBe(0);
  });

  test("the name that counts is the directory's, however it was typed", async () => {
    const method = methodOf([plain()]);
    expect(await method.check(login("ALICE", "wonder land"))).toEqual(accepted("alice"));
    expect(await method.check(login("bob", "builder"))).toEqual(accepted("Bob"));
    expect(await method.check(login(" alice ", "wonder land"))).toEqual(accepted("alice"));
  });

  test("where case counts, only the directory's spelling is accepted", async () => {
    const method = methodOf([plain()], { case_sensitive: "true" });
    expect(await method.check(alice)).toEqual(accepted("alice"));
    expect(await method.check(login("ALICE", "wonder land"))).toEqual(wrong("case_sensitive"));
  });

  test.each(["*", "a*", "*)(uid=*", "alice)(objectClass=*", "\\2a", "uid=alice,ou=people", "a\\", "(", "alice\u0000"])(
    "the name %j finds nobody, whatever it looks like in a filter",
    async (name) => {
      expect(await methodOf([plain()]).check(login(name, "wonder land"))).toEqual(wrong("no such user"));
    },
  );

  test("a name full of signs that mean something in a filter or DN is that name", async () => {
    const name = "o'neill (r&d)*\\";
    expect(await methodOf([plain()]).check(login(name, "star"))).toEqual(accepted(name));
  });

  test("a name that two entries have is an outage, and leaves the server in use", async () => {
    const method = methodOf([plain()]);
    expect(await method.check(login("twin", "same"))).toEqual(unreachable("more than one entry"));
    expect(await method.check(alice)).toEqual(accepted("alice"));
  });

  test("who does not meet the further requirement is not let in, and the log says so", async () => {
    const method = methodOf([plain()], { add_req: "employeeType=staff" });
    expect(await method.check(alice)).toEqual(accepted("alice"));
    expect(await method.check(login("Bob", "builder"))).toEqual(wrong("add_req"));
    expect(await methodOf([plain()], { add_req: `(|(memberOf=${engineers})(uid=x))` }).check(alice)).toEqual(
      accepted("alice"),
    );
  });

  test("members of the required group alone are let in, whichever kind of group it is", async () => {
    const member = methodOf([plain()], { required_group: engineers });
    expect(await member.check(alice)).toEqual(accepted("alice"));
    expect(await member.check(login("Bob", "builder"))).toEqual(wrong("required_group"));
    expect(await member.check(login("Bob", "wrong"))).toEqual(wrong("wrong user name or password"));
    const posix = methodOf([plain()], { required_group: `cn=posix,ou=groups,${suffix}` });
    expect(await posix.check(login("bob", "builder"))).toEqual(accepted("Bob"));
    expect(await posix.check(alice)).toEqual(wrong("required_group"));
  });

  test("a required group that does not exist lets nobody in, as an outage", async () => {
    const method = methodOf([plain()], { required_group: `cn=gone,ou=groups,${suffix}` });
    expect(await method.check(alice)).toEqual(unreachable("cn=gone"));
  });

  test("nested groups are asked for by Active Directory's matching rule, and one not understood lets nobody in", async () => {
    const relay = await startTcpRelay(slapd().port);
    cleanUp.push(() => relay.stop());
    const settings = { required_group: engineers, nested_groups: "true" };
    // slapd does not know the rule, and then takes nobody for a member.
    expect(await methodOf([`127.0.0.1:${relay.port}`], settings).check(alice)).toEqual(wrong("required_group"));
    const sent = relay.sent();
    expect(sent.includes("1.2.840.113556.1.4.1941")).toBe(true);
    expect(sent.includes(engineers)).toBe(true);
  });

  test("without a service account the search is anonymous, and a directory that forbids it is an outage", async () => {
    const anonymous = { bind_dn: "", bind_pw: "" };
    expect(await methodOf([plain()], anonymous).check(alice)).toEqual(unreachable("does not show"));
    const open = await other(undefined, { access: ["access to * by * read"] });
    const method = methodOf([`127.0.0.1:${open.port}`], anonymous);
    expect(await method.check(alice)).toEqual(accepted("alice"));
    expect(await method.check(login("alice", "no"))).toEqual(wrong("wrong user name or password"));
    const refusing = await other(undefined, { settings: ["require authc"] });
    expect(await methodOf([`127.0.0.1:${refusing.port}`], anonymous).check(alice)).toEqual(
      unreachable("is auth.ldap.0.bind_dn set"),
    );
  });

  test("a service account whose password is wrong is an outage that says so", async () => {
    expect(await methodOf([plain()], { bind_pw: "old" }).check(alice)).toEqual(
      unreachable("does not accept auth.ldap.0.bind_dn and bind_pw"),
    );
  });

  test("a base that does not exist is an outage that names it", async () => {
    const method = methodOf([plain()], { users_base_dn: `ou=nowhere,${suffix}` });
    expect(await method.check(alice)).toEqual(unreachable(`ou=nowhere,${suffix}`));
  });
});

describe("direct bind", () => {
  const template = { bind_dn: "", bind_pw: "", users_base_dn: "", user_dn: `uid={username},${people}` };

  test("the DN made from the name is bound, and the entry gives the name", async () => {
    const method = methodOf([plain()], template);
    expect(await method.check(login("ALICE", "wonder land"))).toEqual(accepted("alice"));
    expect(await method.check(login("alice", "no"))).toEqual(wrong("wrong user name or password"));
    expect(await method.check(login("nobody", "no"))).toEqual(wrong("ldap auth failed"));
  });

  test("no name reaches another entry", async () => {
    const method = methodOf([plain()], template);
    for (const name of ["alice,ou=people", "x+uid=alice", "alice,ou=people,dc=example,dc=org,cn=", ""]) {
      expect(await method.check(login(name, "wonder land"))).toEqual(wrong("ldap auth failed"));
    }
  });

  test("further requirement and required group hold too", async () => {
    const filtered = methodOf([plain()], { ...template, add_req: "employeeType=staff" });
    expect(await filtered.check(alice)).toEqual(accepted("alice"));
    expect(await filtered.check(login("Bob", "builder"))).toEqual(wrong("add_req"));
    const grouped = methodOf([plain()], { ...template, required_group: engineers });
    expect(await grouped.check(alice)).toEqual(accepted("alice"));
    expect(await grouped.check(login("Bob", "builder"))).toEqual(wrong("required_group"));
  });

  test("an entry that may not be read lets nobody in, as an outage", async () => {
    const hidden = await other(undefined, { entries: "" });
    const method = methodOf([`127.0.0.1:${hidden.port}`], { ...template, uname_attr: "mail" });
    expect(await method.check(login("Bob", "builder"))).toEqual(unreachable("does not show the mail"));
  });
});

describe("outages", () => {
  test("a dead server is an outage", async () => {
    expect(await methodOf([`127.0.0.1:${await freePort()}`]).check(alice)).toEqual(unreachable("ECONNREFUSED"));
  });

  test("a host name that cannot be resolved is an outage", async () => {
    expect(await methodOf(["ldap.invalid"]).check(alice)).toEqual(unreachable("cannot be connected to"));
  });

  test("another server answers for one that is dead or hangs", async () => {
    const hanging = await other(undefined);
    await hanging.child.freeze();
    const hosts = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${hanging.port}`, plain()];
    expect(await methodOf(hosts, { timeout: "2" }).check(alice)).toEqual(accepted("alice"));
  });

  test.each([["never"], ["starttls"], ["always"]])(
    "a server that hangs is an outage within its time-out (use_ssl %s)",
    async (word) => {
      const hanging = await other("good");
      await hanging.child.freeze();
      const port = word === "always" ? hanging.tlsPort : hanging.port;
      const method = methodOf([`127.0.0.1:${port}`], { timeout: "1", use_ssl: word, ssl_ca_cert: certificates().ca });
      expect(method.deadlineMs).toBe(1000);
      expect(await method.check(alice)).toEqual(unreachable("did not answer"));
    },
  );

  test("a server that hangs only now and then hurts no later login", async () => {
    const slow = await other(undefined);
    const method = methodOf([`127.0.0.1:${slow.port}`], { timeout: "3" });
    expect(await method.check(alice)).toEqual(accepted("alice"));
    await slow.child.freeze();
    expect(await method.check(alice)).toEqual(unreachable("did not answer"));
    slow.child.signal("SIGCONT");
    await until("it answers again", async () => (await method.check(alice)).outcome === "accepted");
  });

  test("a server killed in the middle of a login is an outage, at once", async () => {
    const doomed = await other(undefined);
    let searched = false;
    const relay = await startTcpRelay(doomed.port, async (from, data) => {
      if (from === "client" && data.includes("wonder land")) {
        await doomed.child.end("SIGKILL");
        return undefined;
      }
      searched ||= from === "client" && data.includes("uid");
      return data;
    });
    cleanUp.push(() => relay.stop());
    expect(await methodOf([`127.0.0.1:${relay.port}`]).check(alice)).toEqual(unreachable("closed the connection"));
    expect(searched).toBe(true);
  });

  test("bytes that are no LDAP are an outage", async () => {
    const relay = await startTcpRelay(slapd().port, (from, data) =>
      from === "server" ? Buffer.from("HTTP/1.1 400\r\n\r\n") : data,
    );
    cleanUp.push(() => relay.stop());
    expect((await methodOf([`127.0.0.1:${relay.port}`], { timeout: "1" }).check(alice)).outcome).toBe("unreachable");
  });

  test("one sign-in too many is refused at once, and says which bound was reached", async () => {
    const hanging = await other(undefined);
    await hanging.child.freeze();
    const method = methodOf([`127.0.0.1:${hanging.port}`], { timeout: "1", max_waiting: "3" });
    const waiting = [1, 2, 3].map(() => method.check(alice));
    expect(await method.check(alice)).toEqual(unreachable("auth.ldap.0.max_waiting"));
    for (const one of await Promise.all(waiting)) expect(one).toEqual(unreachable("did not answer"));
  });

  test("many at once are each answered for themselves over a few connections", async () => {
    const relay = await startTcpRelay(slapd().port);
    cleanUp.push(() => relay.stop());
    const method = methodOf([`127.0.0.1:${relay.port}`], { max_connections: "3", timeout: "30" });
    const results = await Promise.all(
      Array.from({ length: 120 }, (_, i) =>
        method.check(i % 3 === 0 ? login("alice", "wrong") : i % 3 === 1 ? alice : login("bob", "builder")),
      ),
    );
    expect(results.map((one) => (one.outcome === "accepted" ? one.userId : one.outcome))).toEqual(
      Array.from({ length: 120 }, (_, i) => ["wrong", "alice", "Bob"][i % 3]),
    );
    expect(relay.connections()).toBe(4);
  });

  test("a method that is closed answers as an outage and keeps no connection", async () => {
    const relay = await startTcpRelay(slapd().port);
    cleanUp.push(() => relay.stop());
    const method = methodOf([`127.0.0.1:${relay.port}`]);
    expect(await method.check(alice)).toEqual(accepted("alice"));
    await method.close?.();
    expect(await method.check(alice)).toEqual(unreachable("settings were changed"));
  });
});
