import { access, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { until } from "../waiting.ts";
import { ask, fixtures, ledger, no, veto } from "./asking.ts";
import { hooksOf, listener, program, yes } from "./hook.ts";

describe("a veto that gives no answer", () => {
  const failing = { ...yes, answer: "failed" as const, failure: "missing" as const, error: "it is not there" };

  it.each([
    ["missing", "hook-failed"],
    ["crashed", "hook-failed"],
    ["unreachable", "hook-failed"],
    ["timed-out", "hook-timed-out"],
  ] as const)("because it is %s refuses as %s", async (failure, code) => {
    const { connection, answer } = await ask([veto("gate", { ...failing, failure })]);
    expect(answer).toEqual({
      allowed: false,
      code,
      hook: "gate",
      reason: "hook gate gave no answer: it is not there",
      clientReason: null,
    });
    expect(await ledger.deliveries(connection.id)).toMatchObject([{ state: "failed", error: "it is not there" }]);
  });

  it("refuses when it throws", async () => {
    const hook = listener({ name: "gate", veto: true }, () => {
      throw new Error("a fault of ours");
    });
    expect((await ask([hook])).answer).toMatchObject({
      code: "hook-failed",
      reason: expect.stringContaining("a fault of ours"),
    });
  });

  it("lets in where an administrator wrote that down, and goes on to the next", async () => {
    const second = veto("second");
    expect((await ask([veto("first", failing, { onFailure: "allow" }), second])).answer).toMatchObject({
      allowed: true,
    });
    expect(second.told).toHaveLength(1);
    expect((await ask([veto("first", no, { onFailure: "allow" })])).answer).toMatchObject({ code: "hook-refused" });
  });

  it("refuses for want of a turn, without having been told, when too many are being asked", async () => {
    const gate = Promise.withResolvers<typeof yes>();
    const hook = listener({ name: "gate", veto: true, deadlineMs: 1_000, concurrency: 1 }, () => gate.promise);
    const { vetoes } = hooksOf([hook], ledger.store, { bounds: { deliveries: 1, waiting: 1 } });
    const [first, second, third] = await Promise.all([ledger.reserve(), ledger.reserve(), ledger.reserve()]);
    const asked = vetoes.ask(first);
    await until("the first is being asked", () => hook.told.length === 1);
    const waiting = vetoes.ask(second);
    expect(await vetoes.ask(third)).toMatchObject({ allowed: false, code: "too-busy" });
    expect(await waiting).toMatchObject({ allowed: false, code: "too-busy" });
    gate.resolve(yes);
    expect(await asked).toMatchObject({ allowed: true });
    expect(hook.told).toHaveLength(1);
    expect(await ledger.deliveries(second.id)).toEqual([]);
    expect(await vetoes.ask(second)).toMatchObject({ allowed: true });
  });
});

describe("a script that misbehaves", () => {
  const own = async (name: string, text: string) => {
    const path = join(ledger.directory, name);
    await writeFile(path, text, { mode: 0o755 });
    return path;
  };
  const refusedAgain = async (hooks: ReturnType<typeof hooksOf>) => {
    const { id, ...rest } = await ledger.reserve();
    expect(await hooks.vetoes.ask({ id, ...rest })).toMatchObject({ code: expect.stringMatching(/hook-/) });
  };

  it.each([
    ["hangs", "#!/bin/sh\nwhile :; do sleep 1; done\n", "hook-timed-out", "did not end within"],
    [
      "ignores being asked to stop",
      "#!/bin/sh\ntrap '' TERM INT HUP\nsleep 60 & wait\nsleep 60\n",
      "hook-timed-out",
      "killed",
    ],
    ["is missing", null, "hook-failed", "does not exist"],
  ])(
    "because it %s refuses with a reason at its deadline, and an observer is told meanwhile",
    async (_, text, code, why) => {
      const path = text === null ? join(ledger.directory, "nothing") : await own("gate", text);
      const observer = listener({ name: "observer" });
      const hooks = hooksOf([program(path, { name: "gate", veto: true, deadlineMs: 800 }), observer], ledger.store);
      await hooks.start();
      const asked = hooks.vetoes.ask(await ledger.reserve());
      await ledger.admitted(["observer"]);
      hooks.wake();
      await until("the observer has heard", () => observer.told.length === 1);
      expect(await asked).toMatchObject({ allowed: false, code, reason: expect.stringContaining(why) });
      await refusedAgain(hooks);
      await hooks.stop(1_000);
    },
  );

  it("because it leaves a child that holds its output open has answered when it ends itself", async () => {
    const path = await own("holds", "#!/bin/sh\necho welcome\nsleep 20 &\nexit 0\n");
    const connection = await ledger.reserve();
    const hooks = hooksOf([program(path, { name: "gate", veto: true, deadlineMs: 15_000 })], ledger.store);
    expect(await hooks.vetoes.ask(connection)).toMatchObject({ allowed: true });
    expect(await ledger.deliveries(connection.id)).toMatchObject([{ state: "done", output: "welcome\n" }]);
  });

  it("because it is replaced while it runs ends as it began, and the next is asked of the new one", async () => {
    const gate = join(ledger.directory, "go-on");
    const path = await own(
      "gate",
      `#!/bin/sh\ntouch ${gate}.begun; while [ ! -e ${gate} ]; do sleep 0.02; done\nexit 0\n`,
    );
    const hooks = hooksOf([program(path, { name: "gate", veto: true })], ledger.store);
    const asked = hooks.vetoes.ask(await ledger.reserve());
    await until("it runs", () =>
      access(`${gate}.begun`).then(
        () => true,
        () => false,
      ),
    );
    await rename(await own("gate.new", "#!/bin/sh\necho closed\nexit 1\n"), path);
    expect(await hooks.vetoes.ask(await ledger.reserve())).toMatchObject({ code: "hook-refused" });
    await writeFile(gate, "");
    expect(await asked).toMatchObject({ allowed: true });
  });
});

describe("a veto hook's concurrency", () => {
  it("bounds questions and tellings together, and questions go first", async () => {
    let [now, most] = [0, 0];
    const gate = listener({ name: "gate", veto: true, concurrency: 1 }, async () => {
      most = Math.max(most, ++now);
      await new Promise((resolve) => setTimeout(resolve, 5));
      now -= 1;
      return yes;
    });
    const hooks = hooksOf([gate], ledger.store);
    await hooks.start();
    const connections = await Promise.all(Array.from({ length: 8 }, () => ledger.reserve()));
    const answers = connections.map(async (connection) => {
      const answer = await hooks.vetoes.ask(connection);
      await ledger.end(connection.id, hooks.subscribers());
      hooks.wake();
      return answer;
    });
    expect((await Promise.all(answers)).every(({ allowed }) => allowed)).toBe(true);
    await until("every end is told", () => gate.told.length === 16);
    await hooks.stop(5_000);
    expect(most).toBe(1);
  });

  it("keeps half of its turns for questions while ends hang", async () => {
    const hung = Promise.withResolvers<typeof yes>();
    const gate = listener({ name: "gate", veto: true, concurrency: 4 }, ({ event }) =>
      event === "C" ? yes : hung.promise,
    );
    const hooks = hooksOf([gate], ledger.store);
    await hooks.start();
    for (let i = 0; i < 5; i += 1) {
      const { id } = await ledger.reserve();
      await ledger.store.deliveries.tell({
        sessionId: id,
        hook: "gate",
        at: "2026-01-01T00:00:00.000Z",
        leaseUntil: "9",
      });
      await ledger.end(id, ["gate"]);
    }
    await ledger.store.deliveries.abandonRunning(new Date().toISOString());
    hooks.wake();
    await until("two of them hang", () => gate.told.length === 2);
    expect(await hooks.vetoes.ask(await ledger.reserve())).toMatchObject({ allowed: true });
    expect(gate.told.map(({ event }) => event)).toEqual(["D", "D", "C"]);
    hung.resolve(yes);
    await hooks.stop(5_000);
  });
});

describe("when the server stops", () => {
  it.each(["deny", "allow"] as const)(
    "the program asked is ended, and nobody is let in (onFailure: %s)",
    async (onFailure) => {
      const hung = program(join(fixtures, "hang"), { veto: true, onFailure, showOutput: true });
      const hooks = hooksOf([hung], ledger.store);
      const [first, second] = await Promise.all([ledger.reserve(), ledger.reserve()]);
      const asked = hooks.vetoes.ask(first);
      await until("it is being asked", async () => (await ledger.deliveries(first.id)).length === 1);
      hooks.endVetoes();
      const answer = { allowed: false, code: "server-restarting", clientReason: null };
      expect(await asked).toMatchObject(answer);
      expect(await hooks.vetoes.ask(second)).toMatchObject(answer);
    },
  );
});
