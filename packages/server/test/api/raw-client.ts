import { createConnection } from "node:net";

/** Speaks to a unix socket as it is told, byte for byte, and gives all that comes back until the other side closes. */
export function sendRaw(path: string, bytes: string | Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = createConnection({ path });
    socket.on("data", (chunk) => chunks.push(chunk));
    // The server may stop reading early; what it answered before counts.
    socket.on("error", (error) => (chunks.length > 0 ? undefined : reject(error)));
    socket.on("close", () => resolve(Buffer.concat(chunks).toString("utf8")));
    socket.write(bytes);
  });
}

export type Answer = { status: number; body: unknown };

/** One request whose body is sent as it is. */
export async function post(
  path: string,
  url: string,
  body: string | Buffer,
  options: { method?: string; contentType?: string } = {},
): Promise<Answer> {
  const head = [
    `${options.method ?? "POST"} ${url} HTTP/1.1`,
    "host: sallyport",
    "connection: close",
    `content-type: ${options.contentType ?? "application/json"}`,
    `content-length: ${Buffer.byteLength(body)}`,
  ];
  const answer = await sendRaw(path, Buffer.concat([Buffer.from(`${head.join("\r\n")}\r\n\r\n`), Buffer.from(body)]));
  const [, text = ""] = answer.split("\r\n\r\n", 2);
  return { status: Number(answer.split(" ")[1]), body: text === "" ? undefined : JSON.parse(text) };
}
