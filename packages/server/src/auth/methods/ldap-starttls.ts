import type { Socket } from "node:net";

/** LDAPMessage 1 with the extended request 1.3.6.1.4.1.1466.20037 (RFC 4511 section 4.14). */
const request = Buffer.concat([Buffer.from("301d02010177188016", "hex"), Buffer.from("1.3.6.1.4.1.1466.20037")]);
const longestAnswerBytes = 4096;

/**
 * Asks for StartTLS on a fresh connection, and resolves with the server's result code once it has answered.
 * Done by hand: nothing that came in the clear may be left over to be read as if it had come through TLS.
 */
export function askForStartTls(socket: Socket): Promise<{ code: number; message: string }> {
  return new Promise((resolve, reject) => {
    let received: Buffer = Buffer.alloc(0);
    const end = () => {
      socket.off("data", read);
      socket.off("close", closed);
    };
    const closed = () => {
      end();
      reject(new Error("the server closed the connection when asked for StartTLS"));
    };
    const read = (data: Buffer) => {
      received = Buffer.concat([received, data]);
      try {
        const answer = parseAnswer(received);
        if (answer === undefined) return;
        end();
        socket.pause();
        resolve(answer);
      } catch (error) {
        end();
        reject(error);
      }
    };
    socket.on("data", read);
    socket.on("close", closed);
    socket.write(request);
  });
}

/** Undefined while more is to come. Throws on anything but exactly one ExtendedResponse to message 1. */
export function parseAnswer(bytes: Buffer): { code: number; message: string } | undefined {
  const message = element(bytes, 0);
  if (message === undefined) {
    if (bytes.length > longestAnswerBytes) throw new Error("the answer to StartTLS is too long");
    return undefined;
  }
  if (message.tag !== 0x30) throw new Error("the answer to StartTLS is malformed");
  if (message.end !== bytes.length) throw new Error("more than an answer to StartTLS came in the clear");
  const id = inside(bytes, message, message.start, 0x02);
  if (bytes.readUIntBE(id.start, id.end - id.start) !== 1)
    throw new Error("the answer to StartTLS is to another message");
  const response = inside(bytes, message, id.end, 0x78);
  const code = inside(bytes, response, response.start, 0x0a);
  const matched = inside(bytes, response, code.end, 0x04);
  const text = inside(bytes, response, matched.end, 0x04);
  return {
    code: bytes.readUIntBE(code.start, code.end - code.start),
    message: bytes.toString("utf8", text.start, text.end),
  };
}

type Element = { tag: number; start: number; end: number };

function element(bytes: Buffer, at: number): Element | undefined {
  const tag = bytes[at];
  const first = bytes[at + 1];
  if (tag === undefined || first === undefined) return undefined;
  const size = first < 0x80 ? 0 : first & 0x7f;
  if (first === 0x80 || size > 3) throw new Error("the answer to StartTLS is malformed");
  if (bytes.length < at + 2 + size) return undefined;
  const length = size === 0 ? first : bytes.readUIntBE(at + 2, size);
  if (length > longestAnswerBytes) throw new Error("the answer to StartTLS is too long");
  const start = at + 2 + size;
  return bytes.length < start + length ? undefined : { tag, start, end: start + length };
}

function inside(bytes: Buffer, outer: Element, at: number, tag: number): Element {
  const found = element(bytes, at);
  const short = found !== undefined && (tag === 0x02 || tag === 0x0a);
  if (found === undefined || found.tag !== tag || found.end > outer.end) {
    throw new Error("the answer to StartTLS is malformed");
  }
  if (short && (found.end === found.start || found.end - found.start > 4)) {
    throw new Error("the answer to StartTLS is malformed");
  }
  return found;
}
