import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseRange } from "../../../src/core/address-range.ts";
import {
  deviceName,
  fingerprint,
  type ServerConfigOptions,
  serverConfig,
} from "../../../src/drivers/openvpn/server-config.ts";

const options: ServerConfigOptions = {
  listen: { transport: "udp", address: null, port: 1194 },
  managementSocket: "/var/lib/sallyport/openvpn/office/management.sock",
  files: { ca: "/pki/ca.crt", certificate: "/pki/server.crt", key: "/pki/server key", tlsCryptV2Key: "/pki/tc.key" },
  ranges: { ipv4: parseRange("10.42.0.0/20"), ipv6: parseRange("fd42:1::/64") },
  device: "sp-office-1a2b3",
  renegotiateSeconds: 3_600,
  ipv6: true,
};
const lines = (changes: Partial<ServerConfigOptions> = {}) => serverConfig({ ...options, ...changes }).split("\n");

test("the server asks us about everybody, keeps no addresses of its own, and renegotiates", () => {
  const config = lines();
  for (const line of [
    "mode server",
    "tls-server",
    "topology subnet",
    "ifconfig 10.42.0.1 255.255.240.0",
    "ifconfig-ipv6 fd42:1::1/64 fd42:1::2",
    "duplicate-cn",
    "auth-user-pass-optional",
    "management-client-auth",
    "management /var/lib/sallyport/openvpn/office/management.sock unix",
    "verify-client-cert require",
    "remote-cert-tls client",
    "reneg-sec 3600",
    'key "/pki/server key"',
    "dev sp-office-1a2b3",
  ]) {
    expect(config).toContain(line);
  }
  const words = config.map((line) => line.split(" ")[0]);
  for (const word of ["server", "server-ipv6", "ifconfig-pool", "username-as-common-name", "crl-verify", "user"]) {
    expect(words).not.toContain(word);
  }
});

test("a listener takes the families and addresses it is told", () => {
  const listening = (address: string | null, transport: "udp" | "tcp" = "udp", ipv6 = true) =>
    lines({ listen: { transport, address, port: 443 }, ipv6 }).filter((line) =>
      /^(proto|local|lport|multihome)/.test(line),
    );
  expect(listening(null)).toEqual(["proto udp6", "lport 443", "multihome"]);
  expect(listening(null, "udp", false)).toEqual(["proto udp4", "lport 443", "multihome"]);
  expect(listening("192.0.2.1")).toEqual(["proto udp4", "local 192.0.2.1", "lport 443"]);
  expect(listening("::", "tcp")).toEqual(["proto tcp6-server", "local ::", "lport 443"]);
});

test("what cannot be passed to OpenVPN unchanged is refused", () => {
  expect(() => lines({ managementSocket: "/a\nb" })).toThrow(/management/);
  expect(() => lines({ managementSocket: `/${"x".repeat(300)}` })).toThrow(/management/);
  expect(() => lines({ renegotiateSeconds: 0 })).toThrow(/renegotiate/);
  expect(lines({ managementSocket: '/a "b" \\c' })).toContain('management "/a \\"b\\" \\\\c" unix');
});

test("tokens never let anybody in without us", () => {
  const config = lines({ sessionTokens: { lifetimeSeconds: 86_400, secretFile: "/pki/token.key" } });
  expect(config).toContain("auth-gen-token 86400 43200 external-auth");
  expect(config).toContain("auth-gen-token-secret /pki/token.key");
});

test("a device name fits the kernel, tells the profile, and is another for each listener", () => {
  const names = ["udp/1194", "tcp/1194"].flatMap((listener) =>
    ["office", "a-very-long-profile-name", "Übersee", "x"].map((profile) => deviceName(profile, listener, "/var/lib")),
  );
  expect(new Set(names).size).toBe(names.length);
  for (const name of names) expect(name).toMatch(/^sp-[a-z0-9]{0,6}-[0-9a-f]{5}$/);
});

test("the fingerprint changes with the configuration and with what the files hold", async () => {
  const directory = await mkdtemp(join(tmpdir(), "fingerprint-"));
  try {
    const path = (name: string) => join(directory, name);
    const files = { ca: path("ca"), certificate: path("cert"), key: path("key"), tlsCryptV2Key: path("tc") };
    for (const file of Object.values(files)) await writeFile(file, "one");
    const first = await fingerprint("config", files, "openvpn");
    expect(await fingerprint("config", files, "openvpn")).toBe(first);
    expect(await fingerprint("other", files, "openvpn")).not.toBe(first);
    expect(await fingerprint("config", files, "/opt/openvpn")).not.toBe(first);
    await writeFile(files.key, "two");
    expect(await fingerprint("config", files, "openvpn")).not.toBe(first);
    await rm(files.ca);
    await expect(fingerprint("config", files, "openvpn")).rejects.toMatchObject({ code: "driver-failed" });
  } finally {
    await rm(directory, { recursive: true });
  }
});
