import type { IncomingMessage } from "node:http";

/** The text of an answer, read no further than it may be long. @throws Error `tooLong`, or that of a broken connection */
export async function answerText(response: IncomingMessage, mostBytes: number, tooLong: string): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > mostBytes) throw new Error(tooLong);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
