/** One attribute as it stands in a packet: its number (RFC 2865 section 5) and its bytes, at most 253. */
export type RadiusAttribute = { type: number; value: Buffer };

export type RadiusPacket = {
  code: number;
  /** 0 to 255: which request a reply answers. */
  identifier: number;
  /** 16 bytes. */
  authenticator: Buffer;
  attributes: RadiusAttribute[];
};

/** Packet codes: RFC 2865 section 3, RFC 2866 section 3. */
export const code = {
  accessRequest: 1,
  accessAccept: 2,
  accessReject: 3,
  accountingRequest: 4,
  accountingResponse: 5,
  accessChallenge: 11,
} as const;

/** Attribute numbers that are used here, from the RADIUS registry. */
export const attribute = {
  userName: 1,
  userPassword: 2,
  chapPassword: 3,
  nasIpAddress: 4,
  framedIpAddress: 8,
  replyMessage: 18,
  state: 24,
  class: 25,
  vendorSpecific: 26,
  callingStationId: 31,
  nasIdentifier: 32,
  acctStatusType: 40,
  acctDelayTime: 41,
  acctInputOctets: 42,
  acctOutputOctets: 43,
  acctSessionId: 44,
  acctAuthentic: 45,
  acctSessionTime: 46,
  acctTerminateCause: 49,
  acctInputGigawords: 52,
  acctOutputGigawords: 53,
  eventTimestamp: 55,
  chapChallenge: 60,
  nasPortType: 61,
  prompt: 76,
  messageAuthenticator: 80,
  nasIpv6Address: 95,
  framedIpv6Address: 168,
} as const;

/** NAS-Port-Type (RFC 2865 section 5.41): a connection that has no physical port. */
export const nasPortTypeVirtual = 5;

export const headerBytes = 20;
export const longestPacketBytes = 4096;
const longestValueBytes = 253;

/** Bytes that are no RADIUS packet; the message says in which way. */
export class MalformedPacket extends Error {
  constructor(message: string) {
    super(message);
    this.name = "MalformedPacket";
  }
}

/** Throws a RangeError for what no packet can carry. */
export function encodePacket(packet: RadiusPacket): Buffer {
  const { attributes, authenticator } = packet;
  const length = headerBytes + attributes.reduce((sum, { value }) => sum + 2 + value.length, 0);
  if (length > longestPacketBytes) throw new RangeError(`a RADIUS packet of ${length} bytes is too long`);
  if (authenticator.length !== 16) throw new RangeError("an authenticator has 16 bytes");
  const bytes = Buffer.alloc(length);
  bytes.writeUInt8(packet.code, 0);
  bytes.writeUInt8(packet.identifier, 1);
  bytes.writeUInt16BE(length, 2);
  authenticator.copy(bytes, 4);
  let at = headerBytes;
  for (const { type, value } of attributes) {
    if (type < 1 || type > 255) throw new RangeError(`there is no RADIUS attribute ${type}`);
    if (value.length > longestValueBytes) throw new RangeError(`attribute ${type} is over ${longestValueBytes} bytes`);
    bytes.writeUInt8(type, at);
    bytes.writeUInt8(2 + value.length, at + 1);
    value.copy(bytes, at + 2);
    at += 2 + value.length;
  }
  return bytes;
}

/** Throws `MalformedPacket`. Bytes after the packet's own length are padding (RFC 2865 section 3). */
export function decodePacket(bytes: Buffer): RadiusPacket {
  const length = packetLength(bytes);
  const attributes: RadiusAttribute[] = [];
  for (let at = headerBytes; at < length; ) {
    const type = bytes[at];
    const size = bytes[at + 1];
    if (type === undefined || size === undefined || at + 1 >= length)
      throw new MalformedPacket("an attribute is cut off");
    if (size < 2) throw new MalformedPacket(`attribute ${type} has a length of ${size}`);
    if (at + size > length) throw new MalformedPacket(`attribute ${type} reaches beyond the packet`);
    attributes.push({ type, value: Buffer.from(bytes.subarray(at + 2, at + size)) });
    at += size;
  }
  return {
    code: bytes.readUInt8(0),
    identifier: bytes.readUInt8(1),
    authenticator: Buffer.from(bytes.subarray(4, headerBytes)),
    attributes,
  };
}

/** The length a packet gives itself, checked against the bytes that are there. */
export function packetLength(bytes: Buffer): number {
  if (bytes.length < headerBytes) throw new MalformedPacket(`${bytes.length} bytes are no RADIUS packet`);
  const length = bytes.readUInt16BE(2);
  if (length < headerBytes) throw new MalformedPacket(`the packet gives its length as ${length}`);
  if (length > longestPacketBytes) throw new MalformedPacket(`the packet is over ${longestPacketBytes} bytes`);
  if (length > bytes.length) throw new MalformedPacket("the packet is cut off");
  return length;
}

export function valuesOf(packet: RadiusPacket, type: number): Buffer[] {
  return packet.attributes.filter((one) => one.type === type).map((one) => one.value);
}

export const textAttribute = (type: number, text: string): RadiusAttribute => ({ type, value: Buffer.from(text) });

/** `value` is taken modulo 2^32, as counters are sent. */
export function integerAttribute(type: number, value: number): RadiusAttribute {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value % 2 ** 32);
  return { type, value: bytes };
}
