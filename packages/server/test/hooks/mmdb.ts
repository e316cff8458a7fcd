/** A MaxMind DB file (format 2.0) with one record for each IPv4 prefix given; what real ones say of real addresses. */
export function mmdb(records: Readonly<Record<string, unknown>>): Buffer {
  type Node = [Node | number | null, Node | number | null];
  const root: Node = [null, null];
  const data: Buffer[] = [];
  let dataBytes = 0;
  for (const [prefix, record] of Object.entries(records)) {
    const [address = "", length = "32"] = prefix.split("/");
    const bits = address.split(".").reduce((all, octet) => (all << 8n) | BigInt(octet), 0n);
    const encoded = encode(record);
    let node = root;
    for (let depth = 0; depth < Number(length); depth += 1) {
      const bit = Number((bits >> BigInt(31 - depth)) & 1n) as 0 | 1;
      if (depth === Number(length) - 1) node[bit] = dataBytes;
      else {
        const next = node[bit];
        if (Array.isArray(next)) node = next;
        else {
          const made: Node = [null, null];
          node[bit] = made;
          node = made;
        }
      }
    }
    data.push(encoded);
    dataBytes += encoded.length;
  }
  const nodes: Node[] = [];
  const number = (node: Node) => {
    nodes.push(node);
    for (const child of node) if (Array.isArray(child)) number(child);
  };
  number(root);
  const tree = Buffer.alloc(nodes.length * 8);
  for (const [index, node] of nodes.entries()) {
    for (const [side, child] of node.entries()) {
      const value =
        child === null ? nodes.length : Array.isArray(child) ? nodes.indexOf(child) : nodes.length + 16 + child;
      tree.writeUInt32BE(value, index * 8 + side * 4);
    }
  }
  const metadata = encode({
    node_count: nodes.length,
    record_size: 32,
    ip_version: 4,
    database_type: "Test-City",
    languages: ["en"],
    binary_format_major_version: 2,
    binary_format_minor_version: 0,
    build_epoch: 1_790_000_000,
    description: { en: "made for a test" },
  });
  return Buffer.concat([tree, Buffer.alloc(16), ...data, Buffer.from("abcdef4d61784d696e642e636f6d", "hex"), metadata]);
}

function encode(value: unknown): Buffer {
  if (typeof value === "string") return Buffer.concat([head(2, Buffer.byteLength(value)), Buffer.from(value)]);
  if (typeof value === "number" && Number.isInteger(value) && value >= 0) {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return Buffer.concat([head(6, 4), bytes]);
  }
  if (typeof value === "number") {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleBE(value);
    return Buffer.concat([head(3, 8), bytes]);
  }
  if (Array.isArray(value)) return Buffer.concat([head(11, value.length), ...value.map(encode)]);
  const entries = Object.entries(value as object);
  return Buffer.concat([head(7, entries.length), ...entries.flatMap(([key, inner]) => [encode(key), encode(inner)])]);
}

/** Sizes under 285, which is all that is needed here. */
function head(type: number, size: number): Buffer {
  const small = size < 29 ? [size] : [29, size - 29];
  const [length = 0, ...more] = small;
  return type < 8 ? Buffer.from([(type << 5) | length, ...more]) : Buffer.from([length, type - 7, ...more]);
}
