import { expect, test } from "vitest";
import { readWireGuardProfile } from "../../src/profile/wireguard-file.ts";

const key = `${"A".repeat(43)}=`;
const file = (interfaceLines = "", peerLines = "") =>
  `[Interface]\nPrivateKey = ${key}\nAddress = 10.43.0.2/32, fd43:1::2/128\n${interfaceLines}\n[Peer]\nPublicKey = ${key}\nAllowedIPs = 10.99.0.0/16\nEndpoint = vpn.example.org:51820\n${peerLines}\n`;

test("keys go to wg, addresses and name servers to the system", () => {
  const read = readWireGuardProfile(file("DNS = 10.43.0.1, search.example\nMTU = 1380", "PersistentKeepalive = 25"));
  expect(read).toMatchObject({
    ...{ addresses: ["10.43.0.2/32", "fd43:1::2/128"], dns: ["10.43.0.1"], search: ["search.example"], mtu: 1380 },
    ...{ endpoint: "vpn.example.org:51820", allowed: ["10.99.0.0/16"], leftOut: [] },
  });
  expect(read.setconf).toBe(
    `[Interface]\nPrivateKey = ${key}\n[Peer]\nPublicKey = ${key}\nAllowedIPs = 10.99.0.0/16\nEndpoint = vpn.example.org:51820\nPersistentKeepalive = 25\n`,
  );
});

test.each(["PostUp = touch /tmp/evil", "PreDown = touch /tmp/evil", "Table = off", "SaveConfig = true"])(
  "lines that run programs are left out and told: %s",
  (line) => {
    const read = readWireGuardProfile(file(line));
    expect(read.leftOut).toEqual([`line 4: ${line.split(" ")[0]}`]);
    expect(read.setconf).not.toContain("evil");
  },
);

test.each(["Address = 10.0.0.1; rm", "MTU = x", "Address = 10.0.0.1/99", "nonsense"])(
  "a faulty line is refused: %s",
  (line) => {
    expect(() => readWireGuardProfile(file(line))).toThrow(/line 4/);
  },
);

test("a file without a peer is refused", () => {
  expect(() => readWireGuardProfile(`[Interface]\nPrivateKey = ${key}\nAddress = 10.0.0.2/32\n`)).toThrow(
    /peer: publickey/,
  );
});
