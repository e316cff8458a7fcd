/** A client as `status 3` lists it. Without an address it is still being let in, or still in its TLS handshake. */
export type ListedClient = {
  cid: number;
  commonName: string;
  /** `192.0.2.7:40123`; without the port where the address is IPv6. */
  realAddress: string;
  ipv4: string | undefined;
  ipv6: string | undefined;
  userName: string;
  bytesIn: number;
  bytesOut: number;
};

const columns = {
  commonName: "Common Name",
  realAddress: "Real Address",
  ipv4: "Virtual Address",
  ipv6: "Virtual IPv6 Address",
  bytesIn: "Bytes Received",
  bytesOut: "Bytes Sent",
  userName: "Username",
  cid: "Client ID",
} as const;

/**
 * Reads the reply to `status 3`: lines of tab-separated fields, named by a HEADER line.
 * @throws Error where a client has no usable number: who is in would not be known.
 */
export function parseStatus(lines: readonly string[]): ListedClient[] {
  const header = lines.map((line) => line.split("\t")).find(([a, b]) => a === "HEADER" && b === "CLIENT_LIST");
  const clients = lines.map((line) => line.split("\t")).filter(([kind]) => kind === "CLIENT_LIST");
  if (header === undefined) throw new Error("the status list of OpenVPN has no header");
  // The header has one field more in front than the lines it describes.
  const place = (column: keyof typeof columns) => header.indexOf(columns[column]) - 1;
  return clients.map((fields) => {
    const field = (column: keyof typeof columns) => fields[place(column)] ?? "";
    const number = (column: keyof typeof columns) => {
      const text = field(column);
      if (!/^\d{1,20}$/.test(text)) throw new Error(`the status list of OpenVPN has no ${columns[column]}: ${text}`);
      return Number(text);
    };
    return {
      cid: number("cid"),
      commonName: field("commonName"),
      realAddress: field("realAddress"),
      ipv4: field("ipv4") || undefined,
      ipv6: field("ipv6") || undefined,
      userName: field("userName"),
      bytesIn: number("bytesIn"),
      bytesOut: number("bytesOut"),
    };
  });
}
