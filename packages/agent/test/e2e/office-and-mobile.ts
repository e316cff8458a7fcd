import { presentRun } from "../../../server/test/test-run.ts";

/** What a lab's server is configured with where agents connect: "office" over OpenVPN, and "mobile" over WireGuard. */
export function officeAndMobile(label: string) {
  return {
    http: { listen: "0.0.0.0:8443", publicUrl: "https://198.18.0.1:8443" },
    profiles: [
      {
        id: "office",
        displayName: "Office",
        openvpn: { managed: { listen: ["udp/1194"] } },
        ranges: { ipv4: "10.42.0.0/20", ipv6: "fd42:1::/64" },
      },
      {
        id: "mobile",
        displayName: "Mobile",
        // Sockets of wireguard-go are shared by all namespaces: `label`, of two letters, is this test file's.
        wireguard: { managed: { interface: `${presentRun()?.namePrefix ?? "spagt"}${label}`, listenPort: 51_820 } },
        ranges: { ipv4: "10.43.0.0/20", ipv6: "fd43:1::/64" },
      },
    ],
  };
}
