import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { loadProfile } from "../../src/profile/load-profile.ts";
import type { Answers } from "../../src/tunnel/tunnel.ts";

const ca = "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----";
const nobody: Answers = {
  mayAskAgain: false,
  user: () => Promise.reject(new Error("asked")),
  password: () => Promise.reject(new Error("asked")),
  answer: () => Promise.reject(new Error("asked")),
};

let directory: string;
const at = (name: string) => join(directory, name);

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "agent-profile-"));
});

afterEach(() => rm(directory, { recursive: true }));

test("keys and certificates beside a file become a part of it, read by this account", async () => {
  await writeFile(at("ca.crt"), `${ca}\n`);
  await writeFile(at("ta.key"), "secret line\n");
  await writeFile(at("a.ovpn"), 'client\nremote vpn.example.org\nca ca.crt\ntls-auth "ta.key" 1\n');
  const profile = await loadProfile(at("a.ovpn"), nobody);
  if (profile.protocol !== "openvpn") throw new Error("another protocol");
  expect(profile.openvpn.text).toContain(`<ca>\n${ca}\n</ca>\n<tls-auth>\nsecret line\n</tls-auth>\nkey-direction 1`);
  expect(profile).toMatchObject({ name: "a.ovpn", server: "vpn.example.org", agentConfig: undefined });
});

test("what a client config says to agents is read, with its own authority", async () => {
  const key = `${"A".repeat(43)}=`;
  const lines = [
    "# SALLYPORT_AGENT_URL https://vpn.example.org:8443",
    "# SALLYPORT_SERVER_ID s1",
    `# SALLYPORT_AGENT_KEY ${key}`,
  ];
  await writeFile(at("a.ovpn"), `${lines.join("\n")}\nclient\nremote a\n<ca>\n${ca}\n</ca>\n`);
  expect((await loadProfile(at("a.ovpn"), nobody)).agentConfig).toEqual({
    ...{ url: "https://vpn.example.org:8443", serverId: "s1", publicKeys: [key], address: null, caPem: `${ca}\n` },
  });
  await writeFile(at("a.ovpn"), `${lines.slice(0, 2).join("\n")}\nclient\nremote a\n<ca>\n${ca}\n</ca>\n`);
  await expect(loadProfile(at("a.ovpn"), nobody)).rejects.toThrow(/pins no key/);
});

test.each([
  ["no-such-file.ovpn", /there is no such file/],
  ["/dev/zero", /no file of a client config's size/],
  ["http://vpn.example.org/a.ovpn", /https only/],
])("%s is refused in words", async (source, words) => {
  const path = source.startsWith("no-such") ? at(source) : source;
  await expect(loadProfile(path, nobody)).rejects.toThrow(words);
});

test("a file beside it that is not there is named", async () => {
  await writeFile(at("a.ovpn"), "client\nremote a\nca nowhere.crt\n");
  await expect(loadProfile(at("a.ovpn"), nobody)).rejects.toThrow(/nowhere\.crt cannot be read: there is no such file/);
});
