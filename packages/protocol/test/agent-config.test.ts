import { expect, it } from "vitest";
import {
  type AgentConfig,
  agentConfigLines,
  isTicket,
  newSigningKey,
  readAgentConfig,
  readTicketEcho,
  ticketEcho,
} from "../src/index.ts";

const keys = [newSigningKey().publicKey, newSigningKey().publicKey];
const whole: AgentConfig = {
  url: "https://vpn.example.org:8443",
  serverId: "0193a-1",
  publicKeys: keys,
  address: "10.43.0.1",
  caPem: `-----BEGIN CERTIFICATE-----\n${"A".repeat(64)}\nAA==\n-----END CERTIFICATE-----\n`,
};

it("reads from a client config what was written into it, whatever stands around it and however its lines end", () => {
  const config = ["[Interface]", ...agentConfigLines(whole), "Address = 10.43.0.7/32", ""];
  expect(readAgentConfig(config.join("\n"))).toEqual(whole);
  expect(readAgentConfig(config.join("\r\n"))).toEqual(whole);
  const little = { ...whole, address: null, caPem: null };
  expect(readAgentConfig(agentConfigLines(little).join("\n"))).toEqual(little);
});

it("writes comments only, each short enough for OpenVPN", () => {
  for (const line of agentConfigLines(whole)) {
    expect(line).toMatch(/^# /);
    expect(Buffer.byteLength(line)).toBeLessThan(255);
  }
});

it("writes nothing that could leave its comment", () => {
  expect(() => agentConfigLines({ ...whole, url: "https://x\nup /bin/sh" })).toThrow(RangeError);
  expect(() => agentConfigLines({ ...whole, url: `https://${"x".repeat(250)}` })).toThrow(RangeError);
});

it("says that a config says nothing, or what is wrong with what it says", () => {
  expect(readAgentConfig("client\ndev tun\n")).toBeUndefined();
  const changed = (from: RegExp, to: string) => () =>
    readAgentConfig(agentConfigLines(whole).join("\n").replaceAll(from, to));
  expect(changed(/https:/g, "http:")).toThrow("no https URL");
  expect(changed(/# SALLYPORT_AGENT_KEY .*/g, "")).toThrow("pins no key");
  expect(changed(/KEY .../g, "KEY !!!")).toThrow("pins no key");
  expect(changed(/# SALLYPORT_AGENT_ADDRESS/g, "# SALLYPORT_AGENT_URL")).toThrow("two servers");
});

it("finds the ticket in what a client says of an echo, and in no other", () => {
  const ticket = `${"a-Z_0".repeat(8)}abc`;
  expect(ticketEcho(ticket)).toBe(`echo sallyport-ticket ${ticket}`);
  expect(readTicketEcho(`>ECHO:1764000000,sallyport-ticket ${ticket}`)).toBe(ticket);
  expect(readTicketEcho(`1764000000,sallyport-ticket ${ticket}`)).toBe(ticket);
  expect(readTicketEcho(`>ECHO:1764000000,forget-passwords`)).toBeUndefined();
  expect(readTicketEcho(`>ECHO:1764000000,sallyport-ticket ${ticket} more`)).toBeUndefined();
  expect(readTicketEcho(`>ECHO:1764000000,sallyport-ticket short`)).toBeUndefined();
  expect(isTicket('x"; push "route 0.0.0.0"')).toBe(false);
  expect(() => ticketEcho("x y".repeat(9))).toThrow(RangeError);
});
