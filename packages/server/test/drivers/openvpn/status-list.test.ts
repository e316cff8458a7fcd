import { expect, test } from "vitest";
import { parseStatus } from "../../../src/drivers/openvpn/status-list.ts";

const header =
  "HEADER\tCLIENT_LIST\tCommon Name\tReal Address\tVirtual Address\tVirtual IPv6 Address\tBytes Received\tBytes Sent\tConnected Since\tConnected Since (time_t)\tUsername\tClient ID\tPeer ID\tData Channel Cipher";

test("the status list of openvpn 2.6.14 is read by the names of its columns", () => {
  const lines = [
    "TITLE\tOpenVPN 2.6.14",
    header,
    "CLIENT_LIST\talice\t192.0.2.2:52329\t10.42.0.2\tfd42:1::2\t3180\t2902\t2026-11-21 22:23:54\t1795299834\tal ice\t12\t0\tAES-256-GCM",
    "CLIENT_LIST\tbob\tfd99::2\t\t\t2524\t1904\t2026-11-21 22:23:54\t1795299834\tbob\t13\t0\tBF-CBC",
    "HEADER\tROUTING_TABLE\tVirtual Address\tCommon Name",
    "ROUTING_TABLE\t10.42.0.2\talice",
  ];
  expect(parseStatus(lines)).toEqual([
    {
      cid: 12,
      commonName: "alice",
      realAddress: "192.0.2.2:52329",
      ipv4: "10.42.0.2",
      ipv6: "fd42:1::2",
      userName: "al ice",
      bytesIn: 3_180,
      bytesOut: 2_902,
    },
    {
      cid: 13,
      commonName: "bob",
      realAddress: "fd99::2",
      ipv4: undefined,
      ipv6: undefined,
      userName: "bob",
      bytesIn: 2_524,
      bytesOut: 1_904,
    },
  ]);
});

test("a list that cannot be understood is an error, not an empty list", () => {
  expect(() => parseStatus(["TITLE\tOpenVPN 3"])).toThrow(/header/);
  expect(() => parseStatus([header, "CLIENT_LIST\talice"])).toThrow(/Client ID/);
});
