import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type WireGuardFile, wireGuardFile } from "../../src/client-configs/wireguard-file.ts";
import { isKey, newKeyPair, newPresharedKey, publicKeyOf, serverKey } from "../../src/client-configs/wireguard-keys.ts";
import { Secret } from "../../src/core/secret.ts";

const wg = (word: string, input = "") => execFileSync("wg", [word], { input, encoding: "utf8" }).trim();

describe("keys", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "keys-"));
  });
  afterEach(() => rm(directory, { recursive: true }));

  it("are pairs as wg has them", () => {
    const { privateKey, publicKey } = newKeyPair();
    expect(wg("pubkey", privateKey.reveal())).toBe(publicKey);
    expect(publicKeyOf(new Secret(wg("genkey")))).toHaveLength(44);
    expect(publicKeyOf(privateKey)).toBe(publicKey);
    expect(isKey(newPresharedKey().reveal())).toBe(true);
  });

  it.each([
    ["", false],
    ["not a key", false],
    [Buffer.alloc(32).toString("base64"), false],
    [Buffer.alloc(31, 1).toString("base64"), false],
    [Buffer.alloc(32, 1).toString("base64"), true],
    // The same bytes in another spelling would be another device in the ledger.
    [Buffer.alloc(32, 1).toString("base64").replace("E=", "F="), false],
    [`${Buffer.alloc(32, 1).toString("base64")}\n`, false],
    [Buffer.alloc(32, 255).toString("base64url"), false],
  ])("%j is one as wg writes it: %s", (text, is) => expect(isKey(text)).toBe(is));

  it("of an interface are made once, for their owner alone", async () => {
    const file = join(directory, "mobile", "private.key");
    const keys = await Promise.all(Array.from({ length: 5 }, () => serverKey(file)));
    expect(new Set(keys.map((key) => key.reveal())).size).toBe(1);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await stat(join(directory, "mobile"))).mode & 0o777).toBe(0o700);
    expect((await readFile(file, "utf8")).trim()).toBe(keys[0]?.reveal());
    await writeFile(file, "garbage");
    await expect(serverKey(file)).rejects.toThrow("holds no WireGuard key");
  });
});

describe("a device's file", () => {
  const file = (given: Partial<WireGuardFile> = {}) =>
    wireGuardFile({
      config: { id: "id", userId: "alice", createdAt: "2026", expiresAt: "2027" },
      profile: { id: "mobile", displayName: "Mobile" },
      privateKey: new Secret("PRIVATE"),
      presharedKey: null,
      told: {
        ipv4: { address: "10.43.0.2", prefixLength: 20, gateway: "10.43.0.1" },
        ipv6: { address: "fd43::2", prefixLength: 64, gateway: "fd43::1" },
        routes: [],
        dns: [],
      },
      server: { publicKey: "PUBLIC", host: "vpn.example.org", port: 51820 },
      keepaliveSeconds: null,
      ...given,
    });
  const told = (routes: string[], dns: string[] = []) =>
    file({ told: { ipv4: { address: "10.43.0.2", prefixLength: 20, gateway: "" }, ipv6: null, routes, dns } });

  it("has what wg-quick needs, and nothing that it does not", () => {
    expect(file().split("[Interface]\n")[1]).toBe(
      [
        "PrivateKey = PRIVATE",
        "Address = 10.43.0.2/20, fd43::2/64",
        "",
        "[Peer]",
        "PublicKey = PUBLIC",
        "Endpoint = vpn.example.org:51820",
        "AllowedIPs = 10.43.0.0/20, fd43::/64",
        "",
      ].join("\n"),
    );
  });

  it("leaves the private key to whoever has it, and holds the others where there are some", () => {
    const text = file({ privateKey: null, presharedKey: new Secret("PSK"), keepaliveSeconds: 25 });
    expect(text).not.toMatch(/^PrivateKey/m);
    expect(text).toMatch(/^PresharedKey = PSK$/m);
    expect(text).toMatch(/^PersistentKeepalive = 25$/m);
  });

  it("sends its pool, routes and what is asked through the tunnel, nothing twice", () => {
    expect(told(["10.0.0.0/8", "192.0.2.0/24"])).toContain("AllowedIPs = 10.0.0.0/8, 192.0.2.0/24\n");
    expect(told(["0.0.0.0/0", "::/0"])).toContain("AllowedIPs = 0.0.0.0/0, ::/0\n");
    expect(told(["10.43.0.0/20", "10.43.1.0/24"])).toContain("AllowedIPs = 10.43.0.0/20\n");
    expect(told(["10.0.0.53/32"], ["10.0.0.53"])).toContain("DNS = 10.0.0.53\n");
  });

  it("puts an IPv6 endpoint in brackets, and names on one line", () => {
    expect(file({ server: { publicKey: "P", host: "2001:db8::1", port: 1 } })).toContain(
      "Endpoint = [2001:db8::1]:1\n",
    );
    const name = file({ profile: { id: "mobile", displayName: "Mo\n[Peer]\nbile" } });
    expect(name.split("\n").filter((line) => line === "[Peer]")).toHaveLength(1);
  });
});
