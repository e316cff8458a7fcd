import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ConnectionEvent } from "@sallyport/protocol";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Secret } from "../../src/core/secret.ts";
import { webhook } from "../../src/hooks/kinds/webhook.ts";
import { makeCertificates, service, startSlapd } from "../auth/methods/slapd.ts";
import { until } from "../waiting.ts";
import { program } from "./hook.ts";
import { openReceiver } from "./kinds/receiver.ts";

const options = { deadlineMs: 20_000, abort: new AbortController().signal };
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "hook-examples-"));
  await cp(join(import.meta.dirname, "../../../../examples/hooks"), directory, { recursive: true });
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const connect: ConnectionEvent = {
  event: "C",
  eventId: "event-1",
  sessionId: "session-1",
  attempt: 1,
  userId: "alice",
  profileId: "office",
  connectionId: "Alice's Laptop",
  ipFour: "10.42.0.2",
  ipSix: "fd42:1::2",
  proto: "openvpn",
  nodeNumber: 0,
  nodeUrl: "https://vpn.example.org",
  nodeHostName: "vpn.example.org",
};
const tell = (name: string, changes: Partial<ConnectionEvent> = {}) =>
  program(join(directory, name)).tell({ ...connect, ...changes }, options);

it("ldap-check.sh lets in members of a group and nobody else, whatever their names hold; no directory is no answer", async () => {
  const certificates = await makeCertificates();
  const slapd = await startSlapd({ certificates });
  try {
    await writeFile(join(directory, "password"), service.password, { mode: 0o600 });
    const settings = (port: number) =>
      writeFile(
        join(directory, "ldap-check.conf"),
        `url=ldap://127.0.0.1:${port}\nbind=${service.dn}\npassword_file=${directory}/password\ngroup=cn=engineers,ou=groups,dc=example,dc=org\n`,
      );
    await settings(slapd.port);
    expect(await tell("ldap-check.sh")).toMatchObject({ answer: "yes", output: "" });
    for (const userId of ["Bob", "nobody", "*", "alice)(uid=*", "a*", "o'neill (r&d)*\\", "Zoë", ""])
      expect([userId, await tell("ldap-check.sh", { userId })]).toMatchObject([
        userId,
        { answer: "no", output: "Your account may not use the VPN. Ask for the group vpn.\n" },
      ]);
    await slapd.stop();
    expect(await tell("ldap-check.sh")).toMatchObject({ answer: "failed", failure: "crashed" });
  } finally {
    await slapd.stop();
    await certificates.remove();
  }
});

describe("siem-receiver.py", () => {
  it("keeps each event of a webhook once, over its own end, and takes nothing that is not signed by us", async () => {
    const log = join(directory, "events.jsonl");
    await writeFile(join(directory, "siem.key"), "correct horse\n");
    const words = ["--secret-file", join(directory, "siem.key"), "--log", log, "--listen", "127.0.0.1:0"];
    const tellBoth = async (eventIds: string[]) => {
      const child = spawn("/usr/bin/python3", [join(directory, "siem-receiver.py"), ...words], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      try {
        const [line] = await once(child.stdout, "data");
        const url = `http://${/listening on (\S+)/.exec(String(line))?.[1]}/`;
        const hookWith = (secret: string | undefined) =>
          webhook({
            url,
            secret: secret === undefined ? undefined : new Secret(secret),
            authorities: undefined,
            proxy: undefined,
            circuitBreaker: { failures: 5, pauseMs: 1_000 },
            retry: { attempts: 1, firstWaitMs: 1, longestWaitMs: 1 },
          });
        for (const secret of ["wrong horse", undefined])
          expect(await hookWith(secret).tell({ ...connect, eventId: "forged" }, options)).toMatchObject({
            answer: "failed",
            error: expect.stringContaining("401"),
          });
        for (const eventId of eventIds)
          expect(await hookWith("correct horse").tell({ ...connect, eventId }, options)).toMatchObject({
            answer: "yes",
          });
      } finally {
        const gone = once(child, "exit");
        child.kill();
        await gone;
      }
    };
    await tellBoth(["event-1", "event-1", "event-2"]);
    await tellBoth(["event-2", "event-3"]);
    const kept = (await readFile(log, "utf8")).trim().split("\n");
    expect(kept.map((line) => JSON.parse(line).eventId)).toEqual(["event-1", "event-2", "event-3"]);
  });
});

it("eduvpn-curl.sh hands the event to a web form, in the background, quoted as the names need it", async () => {
  const receiver = await openReceiver();
  await writeFile(join(directory, "eduvpn-curl.conf"), `url=${receiver.url}\n`);
  const userId = "Zoë & O'Brien=1";
  expect(await tell("eduvpn-curl.sh", { userId, originatingIp: "198.51.100.20" })).toMatchObject({ answer: "yes" });
  const { body } = await until("it has come", () => receiver.received[0]);
  expect(Object.fromEntries(new URLSearchParams(body))).toEqual({
    event: "C",
    user: userId,
    profile: "office",
    ip4: "10.42.0.2",
    ip6: "fd42:1::2",
    from: "198.51.100.20",
  });
  await receiver.close();
});

describe("dns-update.sh", () => {
  /** A name server that takes every update (RFC 2136) and keeps it, as text where it is text. */
  async function openNameServer(code = 0) {
    const socket = createSocket("udp4");
    const updates: Buffer[] = [];
    socket.on("message", (message, from) => {
      updates.push(message);
      const answer = Buffer.alloc(12);
      message.copy(answer, 0, 0, 2);
      answer.writeUInt16BE(0x8000 | (5 << 11) | code, 2);
      socket.send(answer, from.port, from.address);
    });
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    const { port } = socket.address() as AddressInfo;
    await writeFile(join(directory, "dns-update.conf"), `server=127.0.0.1\nport=${port}\n`);
    return { updates, close: () => socket.close() };
  }

  it("adds the device's name with both addresses, and takes away no others than these", async () => {
    const server = await openNameServer();
    const address = Buffer.concat([Buffer.from([0, 4]), Buffer.from([10, 42, 0, 2])]);
    try {
      expect(await tell("dns-update.sh")).toMatchObject({ answer: "yes", output: "" });
      expect(await tell("dns-update.sh", { event: "D", bytesIn: 0, bytesOut: 0 })).toMatchObject({ answer: "yes" });
      expect(server.updates).toHaveLength(2);
      for (const [i, kind] of [1, 254].entries()) {
        const update = server.updates[i] ?? Buffer.alloc(12);
        expect((update.readUInt16BE(2) >> 11) & 15).toBe(5);
        // How many changes; class IN adds a record, class NONE deletes this one (RFC 2136, 2.5).
        expect(update.readUInt16BE(8)).toBe(2);
        expect(update.includes(Buffer.from("\x0ealice-s-laptop"))).toBe(true);
        const at = update.indexOf(address);
        expect(update.readUInt16BE(at - 6)).toBe(kind);
      }
    } finally {
      server.close();
    }
  });

  it("is told again where the server refuses, and names nothing that is no name", async () => {
    const server = await openNameServer(5);
    try {
      expect(await tell("dns-update.sh")).toMatchObject({ answer: "no", output: expect.stringContaining("REFUSED") });
      expect(await tell("dns-update.sh", { connectionId: "///" })).toMatchObject({ answer: "yes" });
      expect(server.updates).toHaveLength(1);
    } finally {
      server.close();
    }
  });
});
