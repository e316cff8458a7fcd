import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import Database from "better-sqlite3";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ConnectionRow } from "./lab/ledger.ts";
import { inside } from "./lab/network.ts";
import { type Lab, openLab, until } from "./lab.ts";

const execute = promisify(execFile);
const password = "correct horse battery staple";
let lab: Lab;

beforeAll(async () => {
  lab = await openLab();
  await lab.daemon.start();
});

afterAll(() => lab?.[Symbol.asyncDispose]());

/** What the server's own machine gets, status first. */
async function here(path: string, ...more: string[]): Promise<string> {
  const words = ["curl", "--silent", "--insecure", "--max-time", "20", "--write-out", "%{http_code}", ...more];
  const [program = "", ...args] = inside(lab.network.server, [...words, `https://127.0.0.1:8443${path}`]);
  const { stdout } = await execute(program, args);
  return `${stdout.slice(-3)} ${stdout.slice(0, -3)}`;
}

/** Asked from a client's machine, which trusts our authority alone. */
async function get(path: string): Promise<string> {
  const authority = join(lab.dataDirectory, "pki", "authority", "ca.crt");
  const url = `https://${lab.serverAddress}:8443${path}`;
  const words = ["curl", "--silent", "--show-error", "--fail", "--max-time", "20", "--cacert", authority, url];
  const [program = "", ...args] = inside(await lab.network.client(), words);
  return (await execute(program, args)).stdout;
}

test("the daemon says that it lives and lets people in, over HTTPS with a certificate of its own authority", async () => {
  await until("the daemon to be ready", async () => (await here("/readyz")).startsWith("200"));
  expect(await get("/healthz")).toBe("ok\n");
  expect(await get("/readyz")).toBe("ready\n");
  expect(await get("/")).toContain("VPN");
});

test("Prometheus is told from this machine what goes on, and nobody else is told anything", async () => {
  const figures = await here("/metrics");
  expect(figures).toMatch(/^200 /);
  expect(figures).toContain('sallyport_listener_up{profile="office",listener="udp/1194"} 1');
  expect(figures).toMatch(/^sallyport_ready 1$/m);
  expect(figures).toMatch(/^sallyport_build_info\{version="[^"]+",node="24\./m);
  await expect(get("/metrics")).rejects.toThrow(/403/);
});

test("a token for Prometheus is taken up by a reload, and so is another one in the same file", async () => {
  const tokenFile = join(lab.directory, "metrics.token");
  const bearing = (token: string) => here("/metrics", "--header", `Authorization: Bearer ${token}`);
  const reloaded = async (token: string) => {
    await writeFile(tokenFile, `${token}\n`, { mode: 0o600 });
    lab.daemon.signal("SIGHUP");
    await until("the new token to be taken", async () => (await bearing(token)).startsWith("200"));
  };
  await lab.configure({ http: { metrics: { allow: [], tokenFile } } });
  await reloaded("first-s3cret");
  expect(await here("/metrics")).toMatch(/^403 /);
  await reloaded("second-s3cret");
  expect(await bearing("first-s3cret")).toMatch(/^403 /);
  await lab.configure();
  lab.daemon.signal("SIGHUP");
  await until("this machine alone to be told again", async () => (await here("/metrics")).startsWith("200"));
});

test("while its database is locked it lives and is not ready; tunnels and the process are not to blame", async () => {
  const other = new Database(join(lab.dataDirectory, "sallyport.db"), { timeout: 5_000 });
  other.exec("begin immediate");
  try {
    await until("the daemon to be unready", async () => (await here("/readyz")).startsWith("503"));
    expect(await here("/healthz")).toBe("200 ok\n");
  } finally {
    other.exec("rollback");
    other.close();
  }
  await until("the daemon to be ready again", async () => (await here("/readyz")).startsWith("200"));
});

test("while its VPN daemon is gone it is not ready, and it is again with another one", async () => {
  await until("the daemon to be unready", async () => {
    for (const pid of await lab.daemon.openvpnPids()) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It ended by itself meanwhile.
      }
    }
    return (await here("/readyz")).startsWith("503");
  });
  await until("the reason to be in the log", () =>
    lab.daemon.output().includes("no VPN daemon is attached for profile office"),
  );
  await until("the daemon to be ready again", async () => (await here("/readyz")).startsWith("200"));
  expect(await here("/metrics")).toContain('sallyport_listener_up{profile="office",listener="udp/1194"} 1');
});

test("one connection is followed through the log by its ids, from the question to the last telling", async () => {
  await lab.addUser("walter", password);
  const client = await lab.client({ ovpnText: await lab.issue("walter"), user: "walter", password });
  await client.connected();
  await client.stop();
  await lab.hook.called(({ environment }) => environment.VPN_EVENT === "D");
  type Line = Record<string, unknown> & { msg: string };
  // What is behind the last end of a line is still being written.
  const lines = () =>
    lab.daemon
      .output()
      .split("\n")
      .slice(0, -1)
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line) as Line);
  const attempt = lines().find(({ msg, user }) => msg === "allowed" && user === "walter")?.attempt;
  const followed = () => lines().filter((line) => line.attempt === attempt);
  const said = (msg: string) => followed().some((line) => line.msg === msg);
  await until("the end and its telling to be in the log", () => said("ended") && said("told a hook"), {
    otherwise: () => JSON.stringify(followed(), null, 1),
  });
  // The end is told while it is written down.
  const order = ["allowed", "asked a hook", "admitted", "ended", "told a hook"];
  const path = followed();
  expect(path.slice(0, 3).map(({ msg }) => msg)).toEqual(order.slice(0, 3));
  path.sort((a, b) => order.indexOf(a.msg) - order.indexOf(b.msg));
  expect(path.map(({ msg }) => msg)).toEqual(order);
  const [row] = await lab.json<ConnectionRow[]>(["connection", "log", "--user", "walter"]);
  const deliveries = await lab.json<{ id: string; event: string }[]>(["hook", "deliveries"]);
  const deliveryOf = (event: string) => deliveries.find((one) => one.event === event)?.id;
  const [allowed, asked, admitted, ended, told] = path;
  // By the VPN daemon's own name for the tunnel, by the connection's id, by an event's or by a delivery's.
  expect(admitted).toMatchObject({ profileId: "office", listener: "udp/1194", key: allowed?.key });
  for (const line of path.slice(1)) expect(line).toMatchObject({ connection: row?.id, user: "walter" });
  expect(asked).toMatchObject({ event: row?.connectEventId, delivery: deliveryOf("connect"), answer: "yes" });
  expect(admitted).toMatchObject({ event: row?.connectEventId });
  expect(ended).toMatchObject({ event: row?.disconnectEventId, reason: "client", bytesIn: row?.bytesIn });
  expect(told).toMatchObject({
    event: row?.disconnectEventId,
    delivery: deliveryOf("disconnect"),
    tells: "disconnect",
  });
});

test("a refusal is followed by the attempt's id, as explain shows it", async () => {
  const client = await lab.client({ ovpnText: await lab.issue("walter"), user: "walter", password: "wrong" });
  await client.refused();
  const found = await lab.succeed(["explain", "--user", "walter", "--last"]);
  const refusals = () => {
    const lines = lab.daemon.output().split("\n").slice(0, -1);
    const refused = lines.filter((line) => line.includes('"msg":"refused"') && line.includes("wrong-credentials"));
    return refused.map((line) => (JSON.parse(line) as { attempt: string }).attempt);
  };
  // The client may have tried again before it was explained.
  const explained = () => refusals().filter((attempt) => found.includes(attempt));
  await until("the refusal to be in the log", () => explained().length > 0, {
    otherwise: () => `${refusals()}\n${found}`,
  });
  expect(explained()).toHaveLength(1);
});
