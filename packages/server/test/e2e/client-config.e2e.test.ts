import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Authority, openAuthority, type ServerFiles } from "../../src/client-configs/authority.ts";
import { type ClientConfigs, createClientConfigs, type OpenVpnOrder } from "../../src/client-configs/client-configs.ts";
import { openSqlite } from "../../src/store/sqlite.ts";
import type { Store } from "../../src/store/store.ts";
import { inlineOf } from "../client-configs/directory.ts";
import { presentRun } from "../test-run.ts";
import { until } from "../waiting.ts";
import { type Child, startChild } from "./lab/child.ts";
import { createNetwork, inside, type Network, SERVER_ADDRESS } from "./lab/network.ts";
import { type Client, startClient } from "./lab/openvpn-client.ts";

/*
 * A stock openvpn server that knows nothing of Sallyport but its files, and stock clients: what the authority makes is
 * accepted and refused by openvpn itself.
 */

let directory: string;
let network: Network;
let store: Store;
let authority: Authority;
let configs: ClientConfigs;
let files: ServerFiles;
const running: { end(): Promise<void> }[] = [];
let ports = 1194;

beforeAll(async () => {
  const run = presentRun();
  if (!run) throw new Error("this test runs in a test run");
  directory = await mkdtemp(join(run.directory, "client-config-"));
  network = await createNetwork(run);
  store = await openSqlite({ file: join(directory, "sallyport.db") });
  authority = await openAuthority({ directory: join(directory, "pki") });
  configs = createClientConfigs({ authority, store: store.clientConfigs });
  files = await authority.serverFiles("office");
});

afterEach(async () => {
  for (const process of running.splice(0)) await process.end();
});

afterAll(async () => {
  await network?.close();
  await store?.close();
  if (directory) await rm(directory, { recursive: true, force: true });
});

async function startServer(
  options: { files?: ServerFiles; extra?: string[] } = {},
): Promise<{ server: Child; port: number }> {
  const { ca, certificate, key, tlsCryptV2Key } = options.files ?? files;
  const port = ports++;
  const anybody = join(directory, "anybody");
  await writeFile(anybody, "#!/bin/sh\nexit 0\n", { mode: 0o755 });
  const server = await startChild(
    inside(network.server, [
      "openvpn",
      ...["--mode", "server", "--tls-server", "--dev", `tun${port}`, "--dev-type", "tun", "--topology", "subnet"],
      ...["--ifconfig", "10.77.0.1", "255.255.255.0", "--ifconfig-pool", "10.77.0.2", "10.77.0.200", "255.255.255.0"],
      ...["--proto", "udp", "--port", String(port), "--ca", ca, "--cert", certificate, "--key", key, "--dh", "none"],
      ...["--tls-crypt-v2", tlsCryptV2Key, "--remote-cert-tls", "client", "--push", "topology subnet"],
      ...["--auth-user-pass-verify", anybody, "via-file", "--auth-user-pass-optional", "--script-security", "2"],
      ...["--keepalive", "2", "20", "--verb", "3", ...(options.extra ?? [])],
    ]),
    { cwd: directory },
  );
  running.push({ end: () => server.end("SIGTERM") });
  await until("the server to listen", () => {
    if (server.exited()) throw new Error(`the server ended\n${server.output()}`);
    return server.output().includes("Initialization Sequence Completed");
  });
  return { server, port };
}

const orderFor = (port: number, part: Partial<OpenVpnOrder> = {}): OpenVpnOrder => ({
  kind: "user-locked",
  userId: "alice",
  profile: { id: "office", displayName: "Office", hostName: SERVER_ADDRESS, listeners: [{ transport: "udp", port }] },
  ...part,
});

async function connect(ovpnText: string, options: { credentials?: boolean; extra?: string[] } = {}): Promise<Client> {
  const home = await mkdtemp(join(directory, "client-"));
  const asked = options.credentials !== false && { user: "alice", password: "secret" };
  const client = await startClient(network, home, { ovpnText, ...asked, extra: options.extra ?? [] });
  running.push({ end: () => client.kill() });
  return client;
}

/** Waits until the server says why it refuses. */
const refused = (server: Child, why: RegExp) =>
  until(`${why} in the server's log`, () => why.test(server.output()), { otherwise: server.output });

describe("a stock openvpn", () => {
  test("connects with a user-locked file, and each side has checked the other's certificate", async () => {
    const { server, port } = await startServer();
    const { config, text } = await configs.issueOpenVpn(orderFor(port));
    const client = await connect(text);
    await client.connected();
    expect(client.log()).toContain("VERIFY EKU OK");
    expect(client.log()).toContain("VERIFY X509NAME OK: CN=sallyport-server-office");
    expect(server.output()).toContain(`VERIFY OK: depth=0, CN=${config.id}`);
    expect(server.output()).toMatch(/Control Channel: using tls-crypt-v2 key/);
    expect(server.output()).toMatch(/peer info: IV_SSL=/);
    expect(client.log()).toMatch(/Data Channel: cipher 'AES-256-GCM'/);
  });

  test("connects whatever the names in it are", async () => {
    const { port } = await startServer();
    const displayName = 'Büro "north" \\ </ca>\n<key>\nup /bin/false # ; \u2028'.padEnd(400, '"');
    const profile = { ...orderFor(port).profile, displayName };
    const { text } = await configs.issueOpenVpn(orderFor(port, { profile, userId: "a'b\"c\\ $(reboot) # ;" }));
    await (await connect(text)).connected();
  });

  test("connects with an auto-login file, and is asked for nothing", async () => {
    const { port } = await startServer();
    const { text } = await configs.issueOpenVpn(orderFor(port, { kind: "auto-login" }));
    await (await connect(text, { credentials: false })).connected();
  });

  test("goes on to the next listener where the first does not answer", async () => {
    const { port } = await startServer();
    const profile = orderFor(port).profile;
    const listeners = [{ transport: "udp" as const, port: 9 }, ...profile.listeners];
    const { text } = await configs.issueOpenVpn(orderFor(port, { profile: { ...profile, listeners } }));
    await (await connect(text, { extra: ["--server-poll-timeout", "2"] })).connected(60_000);
  });
});

describe("a client", () => {
  test("refuses a server that shows a device's certificate", async () => {
    const device = await configs.issueOpenVpn(orderFor(1));
    const home = join(directory, "rogue");
    await mkdir(home);
    await writeFile(join(home, "cert"), inlineOf(device.text, "cert"));
    await writeFile(join(home, "key"), inlineOf(device.text, "key"), { mode: 0o600 });
    const rogue = { ...files, certificate: join(home, "cert"), key: join(home, "key") };
    const { port } = await startServer({ files: rogue });
    const client = await connect((await configs.issueOpenVpn(orderFor(port))).text);
    await client.sees(/VERIFY EKU ERROR|unsuitable certificate purpose/);
    expect(client.timesConnected()).toBe(0);
  });

  test("refuses the server of another profile", async () => {
    const { port } = await startServer({ files: await authority.serverFiles("guests") });
    const client = await connect((await configs.issueOpenVpn(orderFor(port))).text);
    await client.sees(/VERIFY X509NAME ERROR: CN=sallyport-server-guests, must be sallyport-server-office/);
    expect(client.timesConnected()).toBe(0);
  });
});

describe("a server", () => {
  test("refuses an expired certificate", async () => {
    const { server, port } = await startServer();
    const yesterday = new Date(Date.now() - 20 * 3_600_000);
    const past = await openAuthority({ directory: join(directory, "pki"), now: () => yesterday });
    const made = createClientConfigs({ authority: past, store: store.clientConfigs, now: () => yesterday });
    await connect((await made.issueOpenVpn(orderFor(port, { validForMs: 3_600_000 }))).text);
    await refused(server, /VERIFY ERROR: depth=0, error=certificate has expired/);
  });

  test("refuses a server's certificate as a device's", async () => {
    const { server, port } = await startServer();
    const { text } = await configs.issueOpenVpn(orderFor(port));
    const { certificate, key } = await authority.serverFiles("guests");
    await connect(text.replace(/<cert>[\s\S]*<\/key>/, `cert ${certificate}\nkey ${key}`));
    await refused(server, /VERIFY EKU ERROR|error=unsuit/);
  });

  test("refuses a revoked certificate where it is given the list", async () => {
    const { config, text } = await configs.issueOpenVpn(orderFor(ports));
    await configs.revoke(config.id);
    const list = join(directory, "crl.pem");
    await writeFile(list, await configs.revocationList());
    const { server } = await startServer({ extra: ["--crl-verify", list] });
    await connect(text);
    await refused(server, /VERIFY ERROR: depth=0, error=certificate revoked/);
  });

  test("does not even answer a device with another authority's tls-crypt-v2 key", async () => {
    const { server, port } = await startServer();
    const other = await openAuthority({ directory: join(directory, "other-pki") });
    const stranger = createClientConfigs({ authority: other, store: store.clientConfigs });
    await connect((await stranger.issueOpenVpn(orderFor(port))).text);
    await refused(server, /Can not unwrap tls-crypt-v2 client key/);
    expect(server.output()).not.toContain("TLS: Initial packet");
  });
});
