import { randomBytes, randomInt } from "node:crypto";
import { isIPv4 } from "node:net";
import { addressAttribute } from "../../radius/accounting.ts";
import {
  longestMschapCharacters,
  type MschapExchange,
  mschapAttributes,
  mschapErrorReason,
  provesPassword,
} from "../../radius/mschapv2.ts";
import {
  attribute,
  integerAttribute,
  nasPortTypeVirtual,
  type RadiusAttribute,
  type RadiusPacket,
  textAttribute,
  valuesOf,
} from "../../radius/packet.ts";
import { chapPassword, longestPapBytes, papPassword } from "../../radius/passwords.ts";
import { decodeVendorSpecific, type VendorValue } from "../../radius/vendor.ts";
import type { RadiusOptions } from "./radius-options.ts";

/** Who asks, for the server to record and judge. */
export type RadiusPerson = { username: string; clientAddress: string | null; hardwareAddress: string | null };

/** The attributes that every Access-Request has, whatever the password is presented as. */
export function personAttributes(
  { username, clientAddress, hardwareAddress }: RadiusPerson,
  options: Pick<RadiusOptions, "nasIdentifier" | "nasAddress" | "callingStationId">,
): RadiusAttribute[] {
  const { nasAddress, callingStationId } = options;
  const station = (callingStationId === "hardware" ? hardwareAddress : null) ?? clientAddress;
  const attributes = [
    textAttribute(attribute.userName, username),
    textAttribute(attribute.nasIdentifier, options.nasIdentifier),
    integerAttribute(attribute.nasPortType, nasPortTypeVirtual),
  ];
  if (nasAddress !== undefined) {
    const type = isIPv4(nasAddress) ? attribute.nasIpAddress : attribute.nasIpv6Address;
    attributes.push(addressAttribute(type, nasAddress));
  }
  if (station !== null) attributes.push(textAttribute(attribute.callingStationId, station));
  return attributes;
}

/** One way to present a password, and what its Access-Accept must prove. */
export type Presentation = {
  attributes(secret: string, authenticator: Buffer): RadiusAttribute[];
  /** Undefined where the server has proved what it must; otherwise what is missing. */
  missingProof(accept: RadiusPacket): string | undefined;
};

/** Undefined where the password is too long to be presented so. */
export function presentPassword(
  how: RadiusOptions["password"],
  username: string,
  password: string,
): Presentation | undefined {
  const nothing = () => undefined;
  if (how === "mschapv2") {
    if (password.length > longestMschapCharacters) return undefined;
    const exchange: MschapExchange = {
      username,
      password,
      authenticatorChallenge: randomBytes(16),
      peerChallenge: randomBytes(16),
      identifier: randomInt(256),
    };
    return {
      attributes: () => mschapAttributes(exchange),
      missingProof: (accept) =>
        provesPassword(vendorValues(accept), exchange)
          ? undefined
          : "a valid MS-CHAP2-Success, which shows that it knows the password",
    };
  }
  if (how === "chap") {
    const attributes = chapPassword(password, randomBytes(16), randomInt(256));
    return { attributes: () => attributes, missingProof: nothing };
  }
  if (Buffer.byteLength(password) > longestPapBytes) return undefined;
  return {
    attributes: (secret, authenticator) => [papPassword(password, secret, authenticator)],
    missingProof: nothing,
  };
}

/** What a server says to the person (Reply-Message), on lines of its own and bounded. */
export function replyMessage(reply: RadiusPacket): string {
  const text = valuesOf(reply, attribute.replyMessage)
    .map((value) => value.toString("utf8"))
    .join("\n");
  return text
    .replace(/\r\n?/g, "\n")
    .replace(/[^\P{Cc}\n]/gu, " ")
    .trim()
    .slice(0, 1000)
    .toWellFormed();
}

/** Why a server said no, in words for the log. */
export function rejection(reply: RadiusPacket): string {
  const said = [mschapErrorReason(vendorValues(reply)), replyMessage(reply).replaceAll("\n", " ")].filter(Boolean);
  return said.length === 0 ? "wrong user name or password" : said.join(": ");
}

/** Whether the answer to a challenge may be shown while it is typed: Prompt (RFC 2869 section 5.10) says Echo. */
export function mayEcho(challenge: RadiusPacket): boolean {
  const [prompt] = valuesOf(challenge, attribute.prompt);
  return prompt?.length === 4 && prompt.readUInt32BE() === 1;
}

function vendorValues(packet: RadiusPacket): VendorValue[] {
  return valuesOf(packet, attribute.vendorSpecific).flatMap((value) => decodeVendorSpecific(value) ?? []);
}
