import { expect, test } from "vitest";
import {
  authenticatorResponse,
  mschapAttributes,
  mschapErrorReason,
  ntResponse,
  provesPassword,
} from "../../src/radius/mschapv2.ts";
import { decodeVendorSpecific } from "../../src/radius/vendor.ts";

/** The example of RFC 2759 section 9.2. */
const example = {
  username: "User",
  password: "clientPass",
  authenticatorChallenge: Buffer.from("5B5D7C7D7B3F2F3E3C2C602132262628", "hex"),
  peerChallenge: Buffer.from("21402324255E262A28295F2B3A337C7E", "hex"),
  identifier: 5,
};

test("the example of RFC 2759: the response and the server's proof", () => {
  expect(ntResponse(example).toString("hex").toUpperCase()).toBe("82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF");
  expect(authenticatorResponse(example)).toBe("S=407A5589115FD0D6209F510FE9C04566932CDA56");
});

test("the domain before the name takes no part", () => {
  expect(ntResponse({ ...example, username: "CORP\\User" })).toEqual(ntResponse(example));
  expect(ntResponse({ ...example, username: "user" })).not.toEqual(ntResponse(example));
});

test("the attributes hold the challenges and the response where RFC 2548 wants them", () => {
  const [challenge, response] = mschapAttributes(example).map(({ value }) => decodeVendorSpecific(value)?.[0]);
  expect(challenge).toEqual({ vendor: 311, type: 11, value: example.authenticatorChallenge });
  expect(response?.type).toBe(25);
  const value = response?.value ?? Buffer.alloc(0);
  expect(value.length).toBe(50);
  expect([value[0], value[1]]).toEqual([5, 0]);
  expect(value.subarray(2, 18)).toEqual(example.peerChallenge);
  expect(value.subarray(18, 26)).toEqual(Buffer.alloc(8));
  expect(value.subarray(26)).toEqual(ntResponse(example));
});

test("only a server that knows the password can prove it", () => {
  const success = (text: string, identifier = 5) => [
    { vendor: 311, type: 26, value: Buffer.concat([Buffer.of(identifier), Buffer.from(text)]) },
  ];
  const proof = authenticatorResponse(example);
  expect(provesPassword(success(proof), example)).toBe(true);
  expect(provesPassword(success(`${proof} M=welcome`), example)).toBe(true);
  expect(provesPassword(success(proof, 6), example)).toBe(false);
  expect(provesPassword(success(authenticatorResponse({ ...example, password: "other" })), example)).toBe(false);
  expect(provesPassword(success(proof.slice(0, -1)), example)).toBe(false);
  expect(provesPassword([], example)).toBe(false);
});

test("Windows' reasons are told in words", () => {
  const error = (text: string) => [{ vendor: 311, type: 2, value: Buffer.from(`\x05${text}`) }];
  expect(mschapErrorReason(error("E=691 R=0 C=00 V=3"))).toBe("wrong user name or password");
  expect(mschapErrorReason(error("E=648 R=0 V=3"))).toBe("the password has expired");
  expect(mschapErrorReason(error("E=12"))).toBe("MS-CHAP error 12");
  expect(mschapErrorReason(error("nothing"))).toBeUndefined();
  expect(mschapErrorReason([])).toBeUndefined();
});
