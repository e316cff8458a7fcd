import { expect, test } from "vitest";
import { CannotJudge, createServers, ServerUnreachable } from "../../../src/auth/methods/servers.ts";
import { createWaitingBound } from "../../../src/auth/methods/waiting.ts";

const one = { name: "one" };
const two = { name: "two" };

/** Servers with a clock that the test sets, and a record of who was asked. */
function lab(dead: Set<string>) {
  let time = 0;
  const asked: string[] = [];
  const changes: string[] = [];
  const servers = createServers({
    servers: [one, two],
    downForMs: 1000,
    now: () => time,
    onChange: (server, up) => changes.push(`${server.name} ${up ? "up" : "down"}`),
  });
  const ask = () => {
    asked.length = 0;
    return servers.ask(async (server) => {
      asked.push(server.name);
      if (dead.has(server.name)) throw new ServerUnreachable("is dead");
      return server.name;
    });
  };
  return { servers, ask, asked, changes, wait: (ms: number) => (time += ms) };
}

test("the first server is asked while it answers", async () => {
  const { ask, asked } = lab(new Set());
  expect(await ask()).toBe("one");
  expect(asked).toEqual(["one"]);
});

test("the next server answers for one that does not, and the dead one is not asked again for a while", async () => {
  const { ask, asked, servers } = lab(new Set(["one"]));
  expect(await ask()).toBe("two");
  expect(asked).toEqual(["one", "two"]);
  expect(servers.down()).toEqual([one]);
  expect(await ask()).toBe("two");
  expect(asked).toEqual(["two"]);
});

test("a server that answers again is first again", async () => {
  const dead = new Set(["one"]);
  const { ask, asked, wait, changes } = lab(dead);
  await ask();
  dead.clear();
  wait(1001);
  expect(await ask()).toBe("one");
  expect(asked).toEqual(["one"]);
  expect(changes).toEqual(["one down", "one up"]);
});

test("one request alone tries a server that was down while the others go elsewhere", async () => {
  const { servers, wait, ask } = lab(new Set(["one"]));
  await ask();
  wait(1001);
  const gate = Promise.withResolvers<void>();
  const asked: string[] = [];
  const attempt = async (server: { name: string }) => {
    asked.push(server.name);
    if (server === one) await gate.promise;
    return server.name;
  };
  const probe = servers.ask(attempt);
  expect(await servers.ask(attempt)).toBe("two");
  expect(asked).toEqual(["one", "two"]);
  gate.resolve();
  expect(await probe).toBe("one");
});

test("servers that are all down are tried all the same, and each one's reason is told", async () => {
  const dead = new Set(["one", "two"]);
  const { ask, asked } = lab(dead);
  await expect(ask()).rejects.toThrow("one is dead; two is dead");
  await expect(ask()).rejects.toThrow(ServerUnreachable);
  expect(asked).toEqual(["one", "two"]);
  dead.delete("two");
  expect(await ask()).toBe("two");
});

test("an error that is not the server's fault is passed on, and marks no server", async () => {
  const { servers } = lab(new Set());
  await expect(servers.ask(() => Promise.reject(new CannotJudge("two entries")))).rejects.toThrow("two entries");
  expect(servers.down()).toEqual([]);
});

test("one waiter too many is refused at once, and a place is free again when another has ended", async () => {
  const bound = createWaitingBound(2);
  const gate = Promise.withResolvers<void>();
  const first = bound.run(() => gate.promise);
  const second = bound.run(() => Promise.reject(new Error("failed")));
  expect(bound.run(async () => undefined)).toBeUndefined();
  await expect(second).rejects.toThrow("failed");
  expect(bound.waiting()).toBe(1);
  expect(bound.run(async () => "in")).toBeInstanceOf(Promise);
  gate.resolve();
  await first;
});
