import { mkdtemp, rm } from "node:fs/promises";
import { type Agent, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type PeerCertificate, type TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { page, serveHttp } from "../../src/api/http.ts";
import { type Authority, openAuthority } from "../../src/client-configs/authority.ts";
import { SallyportError } from "../../src/core/errors.ts";
import type { Log } from "../../src/core/log.ts";

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };
let directory: string;
let authority: Authority;
let server: Awaited<ReturnType<typeof serveHttp>>;
let unready: string | undefined;

const start = (port = 0) =>
  serveHttp({
    listen: { address: "127.0.0.1", port },
    certificate: () => authority.newWebServer({ names: ["vpn.example.org", "127.0.0.1", "fd00::1"] }),
    unready: async () => unready,
    routes: [
      (app) => {
        app.get("/broken", async () => {
          throw new Error("the words of an error are for the log");
        });
      },
    ],
    log: silent,
  });

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "http-"));
  authority = await openAuthority({ directory });
  server = await start();
});

afterAll(async () => {
  await server.close();
  await rm(directory, { recursive: true, force: true });
});

type Answer = { status: number; text: string; headers: NodeJS.Dict<string | string[]> };

/** Trusts our own authority alone. */
function ask(path: string, options: { method?: string; body?: string; agent?: Agent } = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { body, ...rest } = options;
    const asked = request(
      { host: "127.0.0.1", port: server.port, path, ca: authority.caPem, agent: false, ...rest },
      (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk) => (text += chunk));
        response.on("end", () => resolve({ status: response.statusCode ?? 0, text, headers: response.headers }));
      },
    );
    asked.on("error", reject).end(body);
  });
}

const handshake = (options: { servername: string; maxVersion?: "TLSv1.1" }) =>
  new Promise<{ authorized: boolean; certificate: PeerCertificate }>((resolve, reject) => {
    const socket: TLSSocket = connect({ port: server.port, host: "127.0.0.1", ca: authority.caPem, ...options }, () => {
      resolve({ authorized: socket.authorized, certificate: socket.getPeerCertificate() });
      socket.end();
    });
    socket.on("error", reject);
  });

describe("the web server", () => {
  test("answers who watches it: it lives, and it is ready or not, without saying why to strangers", async () => {
    expect(await ask("/healthz")).toMatchObject({ status: 200, text: "ok\n" });
    expect(await ask("/readyz")).toMatchObject({ status: 200 });
    unready = "the database password is hunter2";
    const answer = await ask("/readyz");
    unready = undefined;
    expect(answer.status).toBe(503);
    expect(answer.text).not.toContain("hunter2");
    expect(await ask("/healthz")).toMatchObject({ status: 200 });
  });

  test("says what it is at /, and nothing elsewhere", async () => {
    expect(await ask("/")).toMatchObject({ status: 200, text: expect.stringContaining("VPN") });
    for (const path of ["/admin", "/../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/%"]) {
      expect((await ask(path)).status).toBeGreaterThanOrEqual(400);
    }
  });

  test("has a certificate of our authority for each of its names", async () => {
    const { certificate, authorized } = await handshake({ servername: "vpn.example.org" });
    expect(authorized).toBe(true);
    expect(certificate.subjectaltname).toBe("DNS:vpn.example.org, IP Address:127.0.0.1, IP Address:FD00:0:0:0:0:0:0:1");
    await expect(handshake({ servername: "other.example.org" })).rejects.toThrow(/altnames/);
  });

  test("speaks no old TLS", async () => {
    await expect(handshake({ servername: "vpn.example.org", maxVersion: "TLSv1.1" })).rejects.toThrow();
  });

  test("keeps the words of its faults to itself, and survives a body too large", async () => {
    const broken = await ask("/broken");
    expect(broken).toMatchObject({ status: 500 });
    expect(broken.text).not.toContain("words of an error");
    const large = ask("/broken", { method: "POST", body: "x".repeat(2 * 1024 * 1024) });
    expect((await large.catch(() => ({ status: 413 }))).status).toBeGreaterThanOrEqual(400);
    expect(await ask("/healthz")).toMatchObject({ status: 200 });
  });

  test("cannot be framed, cached or sniffed", async () => {
    expect((await ask("/")).headers).toMatchObject({
      "cache-control": "no-store",
      "content-security-policy": expect.stringContaining("frame-ancestors 'none'"),
      "x-content-type-options": "nosniff",
    });
  });

  test("names the setting when its address is taken", async () => {
    const failure = await start(server.port).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(SallyportError);
    expect(failure).toMatchObject({ code: "conflict", message: expect.stringContaining("http.listen") });
  });

  test("escapes what it is given to show", () => {
    const html = page("<script>", `"'&<img src=x>`, { action: '"><img src=x>', label: "<img src=x>" });
    expect(html).not.toContain("<script>");
    expect(html).not.toContain("<img");
  });
});
