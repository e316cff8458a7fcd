import { expect, test } from "vitest";
import { configuredMethod } from "../../../src/auth/methods/configured.ts";
import type { Method, MethodResult } from "../../../src/auth/methods/method.ts";
import { createSettingsReader, type Settings } from "../../../src/auth/methods/settings.ts";
import { Secret } from "../../../src/core/secret.ts";

const login = { username: "alice", password: new Secret("x") };
const accepted = (reason: string): MethodResult => ({ outcome: "accepted", userId: "alice", reason, info: {} });

function lab(first: Settings) {
  let settings = first;
  const events: string[] = [];
  const gates = new Map<string, PromiseWithResolvers<void>>();
  const warnings: string[] = [];
  const quiet = () => undefined;
  const method = configuredMethod<{ host: string }>({
    name: "pam",
    settings: async () => settings,
    read: (all) => {
      const reader = createSettingsReader(all, "auth.pam.0.");
      const host = reader.text("host");
      if (host === "bad") reader.fault("host", "a good one");
      return reader.done(host === undefined ? undefined : { host });
    },
    create: ({ host }): Method => {
      events.push(`made ${host}`);
      return {
        name: "pam",
        deadlineMs: 7,
        check: async () => {
          await gates.get(host)?.promise;
          return accepted(host);
        },
        close: async () => void events.push(`closed ${host}`),
      };
    },
    log: { debug: quiet, info: quiet, warn: (_facts, message) => warnings.push(message), error: quiet },
  });
  return { method, events, gates, warnings, set: (to: Settings) => (settings = to) };
}

test("a change of settings takes effect with the next login, and one under way ends as it began", async () => {
  const { method, events, gates, set } = lab({ "auth.pam.0.host": "old" });
  const gate = Promise.withResolvers<void>();
  gates.set("old", gate);
  const underWay = method.check(login);
  await Promise.resolve();
  set({ "auth.pam.0.host": "new" });
  expect(await method.check(login)).toEqual(accepted("new"));
  expect(events).toEqual(["made old", "made new"]);
  gate.resolve();
  expect(await underWay).toEqual(accepted("old"));
  expect(events).toEqual(["made old", "made new", "closed old"]);
  expect(method.deadlineMs).toBe(7);
});

test("the same settings keep the method, whatever else is changed", async () => {
  const { method, events, set } = lab({ "auth.pam.0.host": "old" });
  await method.check(login);
  set({ "auth.module.type": "pam", "auth.pam.0.host": "old" });
  await method.check(login);
  expect(events).toEqual(["made old"]);
});

test("wrong settings are an outage that names the key, and mended ones work again", async () => {
  const { method, set } = lab({ "auth.pam.0.host": "bad" });
  expect(await method.check(login)).toEqual({
    outcome: "unreachable",
    reason: 'the settings of pam auth are wrong: auth.pam.0.host: expected a good one, found "bad"',
  });
  set({ "auth.pam.0.host": "good" });
  expect(await method.check(login)).toEqual(accepted("good"));
});

test("no settings are an outage, and so is a method that was closed", async () => {
  const { method, set, events } = lab({});
  expect(await method.check(login)).toEqual({ outcome: "unreachable", reason: "pam auth is not set up" });
  set({ "auth.pam.0.host": "a" });
  await method.check(login);
  await method.close?.();
  expect(events).toEqual(["made a", "closed a"]);
  expect(await method.check(login)).toMatchObject({ outcome: "unreachable" });
});

test("an answer to a question that the method never puts is not accepted", async () => {
  const { method } = lab({ "auth.pam.0.host": "a" });
  expect(await method.resume?.({}, new Secret("42"))).toMatchObject({ outcome: "unreachable" });
});

test("settings without effect are warned of once", async () => {
  const { method, warnings } = lab({ "auth.pam.0.host": "a", "auth.pam.0.colour": "red" });
  await method.check(login);
  await method.check(login);
  expect(warnings).toEqual(["auth.pam.0.colour is not a setting that is known here; it has no effect"]);
});
