import { createHash, createHmac } from "node:crypto";
import { createSocket, type RemoteInfo } from "node:dgram";

/** A RADIUS server that answers as a test says; its packets are put together here, apart from the code under test. */
export type UdpPeer = {
  port: number;
  /** Every datagram that came, in order. */
  received: Buffer[];
  stop(): Promise<void>;
};

export type Answering = (request: Buffer, send: (reply: Buffer) => void, from: RemoteInfo) => void;

export async function startUdpPeer(answer: Answering): Promise<UdpPeer> {
  const socket = createSocket("udp4");
  const received: Buffer[] = [];
  socket.on("message", (request, from) => {
    received.push(request);
    answer(request, (reply) => socket.send(reply, from.port, from.address), from);
  });
  await new Promise<void>((bound) => socket.bind(0, "127.0.0.1", bound));
  return {
    port: socket.address().port,
    received,
    stop: () => new Promise<void>((closed) => socket.close(() => closed())),
  };
}

export const attr = (type: number, value: Buffer | string) => {
  const bytes = Buffer.from(value as string);
  return Buffer.concat([Buffer.of(type, 2 + bytes.length), bytes]);
};

/** A reply to a request: signed with the secret, with a Message-Authenticator in front unless `bare`. */
export function replyTo(
  request: Buffer,
  options: { code: number; secret: string; attributes?: Buffer[]; bare?: boolean; identifier?: number },
): Buffer {
  const { code, secret, attributes = [], bare = false, identifier = request[1] ?? 0 } = options;
  const body = Buffer.concat([...(bare ? [] : [attr(80, Buffer.alloc(16))]), ...attributes]);
  const reply = Buffer.concat([Buffer.of(code, identifier, 0, 0), request.subarray(4, 20), body]);
  reply.writeUInt16BE(reply.length, 2);
  if (!bare) createHmac("md5", secret).update(reply).digest().copy(reply, 22);
  createHash("md5").update(reply).update(secret).digest().copy(reply, 4);
  return reply;
}

/** The values of one attribute of a request, read by hand. */
export function attributesOf(packet: Buffer, wanted: number): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 20; at < packet.length; at += packet[at + 1] ?? 1) {
    if (packet[at] === wanted) found.push(packet.subarray(at + 2, at + (packet[at + 1] ?? 0)));
  }
  return found;
}
