import { expect, test } from "vitest";
import { placesOf, servicePlaces } from "../../src/machine/places.ts";
import { openVpnCommand, openVpnPrograms } from "../../src/openvpn/command.ts";

const account = (home: string) => ({ name: "alice", home, uid: 1000, isRoot: false });

test.each([
  ["linux", "/home/alice", {}, "/home/alice/.local/share/sallyport-agent/consent.json"],
  ["linux", "/home/alice", { SALLYPORT_AGENT_DIRECTORY: "/own" }, "/own/consent.json"],
  [
    ...(["linux", "/home/alice", { SALLYPORT_AGENT_DIRECTORY: "own", LOCALAPPDATA: "C:\\x" }] as const),
    "/home/alice/.local/share/sallyport-agent/consent.json",
  ],
  ["mac", "/Users/alice", {}, "/Users/alice/.local/share/sallyport-agent/consent.json"],
  ["win", "D:\\Users\\alice", {}, "D:\\Users\\alice\\AppData\\Local\\sallyport-agent\\consent.json"],
  ["win", "D:\\Users\\alice", { LOCALAPPDATA: "E:\\moved" }, "E:\\moved\\sallyport-agent\\consent.json"],
  ["win", "D:\\Users\\alice", { SALLYPORT_AGENT_DIRECTORY: "E:\\own" }, "E:\\own\\consent.json"],
] as const)("on %s an account's consent is below %s, with %j at %s", (platform, home, environment, consent) => {
  expect(placesOf(account(home), environment, platform).consent).toBe(consent);
});

test("an agent that runs as an administrator of Windows keeps what is its own where the same account cannot change it", () => {
  const administrator = { ...account("D:\\Users\\alice"), isRoot: true };
  const { consent } = placesOf(administrator, { LOCALAPPDATA: "E:\\moved", ProgramData: "D:\\Data" }, "win");
  expect(consent).toBe("D:\\Data\\sallyport-agent\\administrator\\consent.json");
});

test.each([
  ["linux", {}, ["/etc/sallyport-agent/policy.json", "/run/sallyport-agent/service.sock", "/var/lib/sallyport-agent"]],
  ["mac", {}, ["/etc/sallyport-agent/policy.json", "/var/run/sallyport-agent/service.sock", "/var/db/sallyport-agent"]],
  [
    ...(["win", { ProgramData: "D:\\ProgramData" }] as const),
    [
      "D:\\ProgramData\\sallyport-agent\\policy.json",
      "\\\\.\\pipe\\sallyport-agent",
      "D:\\ProgramData\\sallyport-agent",
    ],
  ],
] as const)("on %s, with %j, the owner's places are %j", (platform, environment, [policy, socket, directory]) => {
  expect(servicePlaces(platform, environment)).toEqual({ policy, socket, directory });
});

test.each([
  ["linux", "/usr/sbin/openvpn", "/usr/bin/setpriv", "--pdeathsig TERM /usr/sbin/openvpn --config C"],
  ["mac", "/opt/homebrew/sbin/openvpn", "/opt/homebrew/sbin/openvpn", "--config C"],
  ["win", "D:\\Programs\\OpenVPN\\bin\\openvpn.exe", "D:\\Programs\\OpenVPN\\bin\\openvpn.exe", "--config C"],
] as const)("on %s it is %s that is looked for first, and started by %s", (platform, first, program, args) => {
  const [found = ""] = openVpnPrograms(platform, { ProgramFiles: "D:\\Programs", PATH: "/evil" });
  expect(found).toBe(first);
  const command = openVpnCommand({ platform, program: found, config: "C", isProgram: () => true });
  expect([command.program, command.args.join(" ")]).toEqual([program, args]);
  expect(openVpnCommand({ platform, program: found, config: "C", isProgram: () => false }).program).toBe(first);
});
