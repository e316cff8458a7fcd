import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Webhook } from "../../../src/hooks/kinds/webhook.ts";
import { openReceiver, type Receiver, status } from "./receiver.ts";
import { event, hookTo, options } from "./webhook-under-test.ts";

const run = promisify(execFile);
let receiver: Receiver;

beforeEach(async () => {
  receiver = await openReceiver();
});
afterEach(() => receiver.close());

const tell = (changes: Partial<Webhook> = {}) => hookTo(receiver.url, changes).tell(event, options);

describe("a webhook", () => {
  it("posts the event as JSON with the key that repeats have in common, the time and a signature", async () => {
    const before = Math.floor(Date.now() / 1_000);
    expect(await tell()).toMatchObject({ answer: "yes", failure: null, error: null, output: "HTTP 204\n" });
    const [got] = receiver.received;
    expect(JSON.parse(got?.body ?? "")).toEqual(event);
    expect(got).toMatchObject({
      path: "/vpn",
      headers: {
        "content-type": "application/json",
        "idempotency-key": "0197-event",
        "sallyport-timestamp": expect.stringMatching(/^\d{10}$/),
        "sallyport-signature": expect.stringMatching(/^sha256=[0-9a-f]{64}$/),
      },
    });
    const sentAt = Number(got?.headers["sallyport-timestamp"]);
    expect(sentAt).toBeGreaterThanOrEqual(before);
    expect(sentAt).toBeLessThanOrEqual(Date.now() / 1_000);
  });

  it("is signed so that docs/webhooks.md's shell and Python find it right, and a changed one wrong", async () => {
    await tell();
    const [got] = receiver.received;
    const page = await readFile(join(import.meta.dirname, "../../../../../docs/webhooks.md"), "utf8");
    const shell = /```sh verify\n([\s\S]*?)```/.exec(page)?.[1] ?? "";
    const python = /```python verify\n([\s\S]*?)```/.exec(page)?.[1] ?? "";
    expect([shell, python]).not.toContain("");
    const verify = async (program: string, args: string[], body: string) => {
      const env = {
        PATH: process.env.PATH,
        SECRET: "correct horse",
        TIMESTAMP: String(got?.headers["sallyport-timestamp"]),
        SIGNATURE: String(got?.headers["sallyport-signature"]),
        BODY: body,
      };
      return run(program, args, { env }).then(
        () => true,
        () => false,
      );
    };
    const body = got?.body ?? "";
    for (const [program, args] of [
      ["/bin/sh", ["-c", shell]],
      ["/usr/bin/python3", ["-c", python]],
    ] as const) {
      expect([program, await verify(program, [...args], body)]).toEqual([program, true]);
      expect([program, await verify(program, [...args], body.replace("10.42.0.2", "10.42.0.3"))]).toEqual([
        program,
        false,
      ]);
    }
  });

  it("without a secret sends no signature", async () => {
    await tell({ secret: undefined });
    expect(receiver.received[0]?.headers).not.toHaveProperty("sallyport-signature");
  });

  it("sends a GET to nobody, and its event to no other address than its own", async () => {
    const elsewhere = await openReceiver();
    for (const code of [301, 302, 307, 308]) {
      receiver.respond = status(code, { location: `${elsewhere.url}?secret=1` });
      const told = await tell();
      expect(told).toMatchObject({
        answer: "failed",
        error: expect.stringContaining("redirects are not followed, name the address itself"),
      });
      expect(told.error).not.toContain("secret=1");
    }
    expect(elsewhere.received).toEqual([]);
    await elsewhere.close();
  });

  it("shows of its address only where it is: paths and queries often are what keeps strangers out", async () => {
    const hook = hookTo(`${receiver.url}/T0K3N?key=hush`);
    receiver.respond = status(500);
    const told = await hook.tell(event, options);
    expect(receiver.received[0]?.path).toBe("/vpn/T0K3N?key=hush");
    expect(`${hook.target} ${JSON.stringify(told)}`).not.toMatch(/T0K3N|hush/);
    expect(hook.target).toMatch(/^webhook http:\/\/localhost:\d+\/…$/);
  });
});

describe("an answer of a webhook", () => {
  it.each([
    [200, "yes", undefined],
    [202, "yes", undefined],
    [403, "no", undefined],
    [400, "failed", "few"],
    [422, "failed", "few"],
    [410, "failed", "never"],
    [401, "failed", undefined],
    [404, "failed", undefined],
    [500, "failed", undefined],
  ] as const)("with status %i is %s, and of another attempt: %s", async (code, answer, again) => {
    receiver.respond = status(code);
    const told = await tell();
    expect(told.answer).toBe(answer);
    expect(told.again).toBe(again);
    if (answer !== "yes") expect(told.error).toContain(`HTTP status ${code}`);
  });

  it("may say when to try again, in seconds or as a date, within the longest wait of the policy", async () => {
    const later = new Date(Date.now() + 90_000).toUTCString();
    for (const [code, value, least, most] of [
      [503, "7", 7_000, 7_000],
      [429, later, 60_000, 90_000],
      [429, "999999", 3_600_000, 3_600_000],
      [503, "soon", undefined, undefined],
      [500, "7", undefined, undefined],
    ] as const) {
      receiver.respond = status(code, { "retry-after": value });
      const { again } = await tell();
      const afterMs = typeof again === "object" ? again.afterMs : undefined;
      if (least === undefined) expect([value, afterMs]).toEqual([value, undefined]);
      else {
        expect(afterMs).toBeGreaterThanOrEqual(least);
        expect(afterMs).toBeLessThanOrEqual(most);
      }
    }
  });

  it("may give a refused person a reason; a page for people is none", async () => {
    receiver.respond = status(403, {}, '{"clientReason":"Enrol your laptop first."}');
    expect(await tell()).toMatchObject({ answer: "no", clientReason: "Enrol your laptop first." });
    receiver.respond = status(403, {}, "<html>\nForbidden\n</html>");
    expect(await tell()).toMatchObject({
      answer: "no",
      clientReason: null,
      output: expect.stringContaining("Forbidden"),
    });
  });

  it("is kept to a bound, however long it is, and one whose body never ends has been given", async () => {
    receiver.respond = status(200, {}, "x".repeat(5_000_000));
    const { answer, output } = await tell();
    expect(answer).toBe("yes");
    expect(output.length).toBeLessThan(20_000);
    receiver.respond = (response) => void response.writeHead(200).write("begun");
    expect(await tell()).toMatchObject({ answer: "yes", output: "HTTP 200\nbegun" });
  });
});

describe("a webhook that cannot be told", () => {
  it("because nobody is there says so", async () => {
    await receiver.close();
    expect(await tell()).toMatchObject({
      answer: "failed",
      failure: "unreachable",
      error: expect.stringMatching(/^http:\/\/localhost:\d+\/… could not be reached: .*ECONNREFUSED/),
    });
  });

  it("because it does not answer is given up at the deadline", async () => {
    receiver.respond = () => {};
    expect(await hookTo(receiver.url).tell(event, { ...options, deadlineMs: 300 })).toMatchObject({
      answer: "failed",
      failure: "timed-out",
      error: expect.stringContaining("did not answer within 300 ms"),
    });
  });

  it("is given up at once when the server stops", async () => {
    receiver.respond = () => {};
    const stop = new AbortController();
    const told = hookTo(receiver.url).tell(event, { ...options, abort: stop.signal });
    stop.abort();
    expect(await told).toMatchObject({ answer: "failed", error: expect.stringContaining("was not waited for") });
  });

  it("is told once more where the connection kept from the last event had just been closed", async () => {
    const hook = hookTo(receiver.url);
    await hook.tell(event, options);
    const [first] = await new Promise<Socket[]>((resolve) => {
      const sockets: Socket[] = [];
      receiver.server.once("request", (request: IncomingMessage) => {
        sockets.push(request.socket);
        request.socket.destroy();
        resolve(sockets);
      });
      void hook.tell({ ...event, attempt: 3 }, options);
    });
    expect(first?.destroyed).toBe(true);
    await expect.poll(() => receiver.received.at(-1)?.body).toContain('"attempt":3');
  });
});

describe("a webhook that fails again and again", () => {
  const breaker = { circuitBreaker: { failures: 3, pauseMs: 60_000 } };

  it("is left alone: nothing is sent, and a veto gets no answer at once", async () => {
    const hook = hookTo(receiver.url, breaker);
    receiver.respond = status(500);
    for (let i = 0; i < 3; i += 1) await hook.tell(event, options);
    expect(hook.room?.()).toBe(0);
    expect(await hook.tell(event, options)).toMatchObject({
      answer: "failed",
      failure: "unreachable",
      error: expect.stringMatching(/was not asked: it failed 3 times in a row and is left alone for \d+ s more/),
    });
    expect(receiver.received).toHaveLength(3);
  });

  it("is asked all the same by `hook test`, and is told again when that succeeds", async () => {
    const hook = hookTo(receiver.url, breaker);
    receiver.respond = status(500);
    for (let i = 0; i < 3; i += 1) await hook.tell(event, options);
    receiver.respond = status(204);
    expect(await hook.tell(event, { ...options, force: true })).toMatchObject({ answer: "yes" });
    expect(hook.room?.()).toBe(Number.POSITIVE_INFINITY);
  });

  it("does not do so by refusing people, or events: it is at work", async () => {
    const hook = hookTo(receiver.url, breaker);
    for (const code of [403, 403, 400, 404, 401, 403]) {
      receiver.respond = status(code);
      await hook.tell(event, options);
    }
    expect(hook.room?.()).toBe(Number.POSITIVE_INFINITY);
  });

  it("has its deliveries wait while it asks for rest, and its questions go on", async () => {
    const hook = hookTo(receiver.url, breaker);
    receiver.respond = status(503, { "retry-after": "60" });
    await hook.tell(event, options);
    expect(hook.room?.()).toBe(0);
    receiver.respond = status(200);
    expect(await hook.tell(event, options)).toMatchObject({ answer: "yes" });
  });
});
