import { expect, test } from "vitest";
import { vpnStatus } from "../../src/api/access-server/vpn-status.ts";
import { reservationFor } from "../hooks/ledger.ts";

const now = new Date("2026-03-01T12:00:00.000Z");
const since = "2026-03-01T11:00:00.000Z";

const openvpn = (listener: string) => {
  const { connection } = reservationFor({ userId: "henry", listener, establishedAt: since });
  return { ...connection, ipv4: "10.42.0.7", ipv6: null };
};
const wireguard = (clientConfigId: string) => {
  const { connection } = reservationFor({ userId: "ina", profileId: "mobile", listener: "wg0", protocol: "wireguard" });
  const own = { connectionId: "aPublicKey=", tunnelKey: "aPublicKey=", originatingIp: null, clientConfigId };
  return { ...connection, ...own, ipv4: "10.43.0.7", ipv6: "fd43::7", establishedAt: since, bytesIn: 12, bytesOut: 34 };
};
const listeners = {
  openvpn: [
    { profileId: "office", listener: "udp/1194" },
    { profileId: "office", listener: "tcp/1194" },
  ],
  wireguard: [{ profileId: "mobile", listener: "wg0" }],
};

test("WireGuard's interfaces stand beside OpenVPN's daemons, in the same columns", () => {
  const seen = new Map([["one", { lastSeenAt: "2026-03-01T11:58:20.000Z", endpoint: "192.0.2.9:51820" }]]);
  const status = vpnStatus({ listeners, open: [openvpn("tcp/1194"), wireguard("one")], seen, now });
  expect(Object.keys(status)).toEqual(["openvpn_0", "openvpn_1", "wireguard_0"]);
  expect(status.openvpn_0?.client_list).toEqual([]);
  expect(status.openvpn_1?.client_list).toHaveLength(1);
  expect(status.wireguard_0?.client_list_header).toEqual(status.openvpn_1?.client_list_header);
  const whole = [["aPublicKey=", "192.0.2.9:51820", "10.43.0.7", "fd43::7", "12", "34", "2026-03-01 11:00:00"]];
  expect(status.wireguard_0?.client_list).toEqual(
    whole.map((row) => [...row, `${Date.parse(since) / 1000}`, "ina", "aPublicKey=", ""]),
  );
  const handshake = ["2026-03-01 11:58:20", `${Date.parse("2026-03-01T11:58:20Z") / 1000}`];
  expect(status.wireguard_0?.routing_table).toEqual([
    ["10.43.0.7", "aPublicKey=", "192.0.2.9:51820", ...handshake],
    ["fd43::7", "aPublicKey=", "192.0.2.9:51820", ...handshake],
  ]);
});

test("a WireGuard device that never shook hands has no address of its own and no last reference", () => {
  const status = vpnStatus({ listeners, open: [wireguard("other")], seen: new Map(), now });
  expect(status.wireguard_0?.client_list[0]?.[1]).toBe("");
  expect(status.wireguard_0?.routing_table.map((row) => row.slice(2))).toEqual([
    ["", "", "0"],
    ["", "", "0"],
  ]);
});

test("what a listener that was taken out of the configuration still has is told after the others", () => {
  const status = vpnStatus({ listeners, open: [openvpn("udp/4443")], seen: new Map(), now });
  expect(Object.keys(status)).toEqual(["openvpn_0", "openvpn_1", "openvpn_2", "wireguard_0"]);
  expect(status.openvpn_2?.client_list[0]?.slice(0, 3)).toEqual(["device of henry", "198.51.100.20", "10.42.0.7"]);
});
