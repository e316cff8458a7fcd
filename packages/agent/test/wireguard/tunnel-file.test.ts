import { expect, test } from "vitest";
import { readWireGuardProfile } from "../../src/profile/wireguard-file.ts";
import { trafficIn } from "../../src/wireguard/dump.ts";
import { tunnelFileOf } from "../../src/wireguard/tunnel-file.ts";

const key = `${"A".repeat(43)}=`;

test("programs that do everything themselves get what was read of a client config, and no line that runs a program", () => {
  const given = `[interface]\r\nPrivateKey = ${key}\r\nPostUp = calc.exe\r\nAddress = 10.43.0.2/32, fd43::2/128\r\nDNS = 10.43.0.1, example.org\r\nMTU = 1380\r\nTable = off\r\n[Peer]\r\nPublicKey = ${key} # PostUp = x\r\nAllowedIPs = 0.0.0.0/0\r\nEndpoint = vpn.example.org:51820\r\n`;
  expect(tunnelFileOf(readWireGuardProfile(given))).toBe(
    `[Interface]\nAddress = 10.43.0.2/32, fd43::2/128\nDNS = 10.43.0.1, example.org\nMTU = 1380\nPrivateKey = ${key}\n[Peer]\nPublicKey = ${key}\nAllowedIPs = 0.0.0.0/0\nEndpoint = vpn.example.org:51820\n`,
  );
});

test("traffic is the latest handshake and the bytes of all peers, as wg tells them on any system", () => {
  const peer = (handshake: number, bytes: number) =>
    [key, "(none)", "198.18.0.1:51820", "0.0.0.0/0", handshake, bytes, 7, "off"].join("\t");
  const dump = (newline: string) => [`${key}\t${key}\t51820\toff`, peer(0, 5), peer(1_700, 6), ""].join(newline);
  for (const newline of ["\n", "\r\n"])
    expect(trafficIn(dump(newline))).toEqual({ lastHandshake: 1_700_000, receivedBytes: 11 });
  expect(trafficIn(`${key}\t${key}\t51820\toff\n`)).toEqual({ lastHandshake: null, receivedBytes: 0 });
});
