import { mostScriptBytes, readAgentConfig } from "@sallyport/protocol";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type GateHouse, openGateHouse } from "./gate-house.ts";

let house: GateHouse;

beforeAll(async () => {
  house = await openGateHouse();
  await house.store.accounts.addGroup({ id: "eng", createdAt: "2026-01-01T00:00:00.000Z" });
});
afterEach(async () => {
  const { clientScripts, accounts } = house.store;
  for (const { scope } of await clientScripts.list()) await clientScripts.remove(scope);
  for (const { scope, name } of await clientScripts.variables()) await clientScripts.deleteVariable(scope, name);
  for (const { owner, properties } of await accounts.allProperties()) {
    for (const key of Object.keys(properties)) await accounts.deleteProperty(owner, key);
  }
});
afterAll(() => house.close());

const cell = ["--platform", "linux", "--privilege", "user", "--event", "connect"];
const eng = ["--group", "eng", ...cell];
const everybody = ["--default", ...cell];
const set = async (scope: string[], text: string, name = "x.sh") =>
  house.run(["client-script", "set", ...scope, await house.file(name, text)]);
const json = async (...args: string[]) => JSON.parse(await house.succeed([...args, "--json"]));

describe("client-script", () => {
  test("set, list, show, versions, diff and delete go together", async () => {
    expect((await set(eng, "#!/bin/sh\necho one\n")).stdout).toBe(
      "Version 1 is live for group eng, linux, user, connect.\n",
    );
    expect(await set(eng, "#!/bin/sh\necho two\n", "map drives.cmd")).toMatchObject({ status: 0 });
    expect(await set(eng, "#!/bin/sh\necho two\n", "map drives.cmd")).toMatchObject({ status: 0 });
    expect(await json("client-script", "list")).toMatchObject([
      {
        id: "group:eng/linux/user/connect@2",
        groupId: "eng",
        version: 2,
        name: "map drives.cmd",
        live: true,
        bytes: 19,
      },
    ]);
    expect(await json("client-script", "list", "--default")).toEqual([]);
    expect(await house.succeed(["client-script", "list", "--group", "eng"])).toMatch(
      /group eng\s+linux\s+user\s+connect/,
    );
    expect(await house.succeed(["client-script", "show", ...eng])).toBe("#!/bin/sh\necho two\n");
    expect(await house.succeed(["client-script", "show", "1", ...eng])).toBe("#!/bin/sh\necho one\n");
    const versions = await json("client-script", "versions", ...eng);
    expect(versions.map(({ version, live }: { version: number; live: boolean }) => [version, live])).toEqual([
      [1, false],
      [2, true],
    ]);
    expect(await house.succeed(["client-script", "diff", ...eng])).toBe(
      "--- version 1\n+++ version 2\n #!/bin/sh\n-echo one\n+echo two\n",
    );
    expect(await house.succeed(["client-script", "diff", "2", "2", ...eng])).toContain("are the same");
    expect(await house.run(["client-script", "delete", ...eng])).toMatchObject({ status: 0 });
    expect(await house.run(["client-script", "delete", ...eng])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('not-found: nothing is set for the group "eng" (linux, user, connect)'),
    });
    expect(await house.run(["client-script", "show", ...eng])).toMatchObject({ status: 1 });
    expect(await house.succeed(["client-script", "show", "1", ...eng])).toContain("echo one");
  });

  test("an administrators' script is stored, with a note while the switch is off", async () => {
    const admin = ["--default", "--platform", "win", "--privilege", "admin", "--event", "connect"];
    expect((await set(admin, "echo")).stderr).toContain("config set vpn.client.admin_scripts true");
    await house.succeed(["config", "set", "vpn.client.admin_scripts", "true"]);
    expect((await set(admin, "echo")).stderr).toBe("");
    await house.succeed(["config", "delete", "vpn.client.admin_scripts"]);
  });

  test("a script has a megabyte, and not one byte more", async () => {
    expect(await set(everybody, "x".repeat(mostScriptBytes))).toMatchObject({ status: 0 });
    expect(await set(everybody, "x".repeat(mostScriptBytes + 1))).toMatchObject({ status: 1 });
    expect(await json("client-script", "list")).toMatchObject([{ version: 1, bytes: mostScriptBytes }]);
  });

  test("what is no text is refused; a byte order mark in front is taken away; an empty one stands for nothing", async () => {
    expect((await set(everybody, "a\0b")).stderr).toContain("NUL");
    await house.succeed(["client-script", "set", ...everybody, await house.file("x.sh", "\uFEFF#!/bin/sh\r\n")]);
    expect(await house.succeed(["client-script", "show", ...everybody])).toBe("#!/bin/sh\r\n");
    expect((await set(eng, "")).stdout).toContain("Nothing runs for group eng");
  });

  test.each([
    [["--group", "eng", "--default"], 2],
    [[], 2],
    [["--group", "unknown"], 1],
  ])("whose it is must be said, once, and exist: %j", async (owner, status) => {
    expect(await set([...owner, ...cell], "x")).toMatchObject({ status });
  });

  test("platform, privilege and event are asked for, and their words are known", async () => {
    expect(await set(["--default", "--platform", "linux", "--event", "connect"], "x")).toMatchObject({ status: 2 });
    const beos = ["--default", "--platform", "beos", "--privilege", "user", "--event", "connect"];
    expect(await set(beos, "x")).toMatchObject({ status: 2 });
  });

  test("variables are set in both spellings, listed and deleted", async () => {
    const env = (...args: string[]) => house.run(["client-script", "env", ...args]);
    expect(await env(...eng, "LAUNCH_URL", "https://a.example/?x=1")).toMatchObject({ status: 0 });
    expect(await env(...everybody, "LAUNCH_URL=https://b.example/?x=1")).toMatchObject({ status: 0 });
    expect(await env(...everybody, "EMPTY=")).toMatchObject({ status: 0 });
    const listed = await json("client-script", "env");
    expect(listed.map(({ groupId, name, value }: Record<string, string>) => [groupId, name, value])).toEqual([
      [null, "EMPTY", ""],
      [null, "LAUNCH_URL", "https://b.example/?x=1"],
      ["eng", "LAUNCH_URL", "https://a.example/?x=1"],
    ]);
    expect(await json("client-script", "env", "--group", "eng")).toHaveLength(1);
    expect(await env(...eng, "LAUNCH_URL", "--delete")).toMatchObject({ status: 0 });
    expect(await env(...eng, "LAUNCH_URL", "--delete")).toMatchObject({ status: 1 });
    expect(await env(...eng, "LAUNCH_URL")).toMatchObject({ status: 2 });
    expect(await env("LAUNCH_URL", "x", "--default")).toMatchObject({ status: 2 });
  });

  test.each([
    "LD_PRELOAD",
    "ld_preload",
    "DYLD_INSERT_LIBRARIES",
    "PATH",
    "IFS",
    "BASH_ENV",
    "PYTHONPATH",
    "NODE_OPTIONS",
    "N_RECONNECTS",
    "VPN_USER_ID",
    "A-B",
    "1A",
    "A B",
    "",
  ])("the variable %j cannot be set", async (name) => {
    expect(await house.run(["client-script", "env", ...everybody, name, "x"])).toMatchObject({ status: 1 });
    expect(await json("client-script", "env")).toEqual([]);
  });

  test("PREPATH can be set", async () => {
    expect(await house.run(["client-script", "env", ...everybody, "PREPATH", "/opt/bin"])).toMatchObject({ status: 0 });
  });

  test("the keys are shown with the lines that client configs carry", async () => {
    const shown = await json("client-script", "key", "show");
    const lines = await house.clientScripts.comments("office");
    expect(shown.comments.office).toEqual(lines);
    expect(lines).toEqual([
      "# SALLYPORT_AGENT_URL https://127.0.0.1:8443",
      `# SALLYPORT_SERVER_ID ${shown.serverId}`,
      `# SALLYPORT_AGENT_KEY ${shown.keys[0].publicKey}`,
    ]);
    const mobile = await house.clientScripts.comments("mobile");
    expect(mobile.slice(0, 4)).toEqual([...lines, "# SALLYPORT_AGENT_ADDRESS 127.0.0.1"]);
    await house.store.accounts.setProperties({ kind: "group", name: "eng" }, { "group_subnets.0": "10.50.0.0/24" });
    const ofEng = await house.clientScripts.comments("mobile", { ipv4: "10.50.0.9" });
    expect(readAgentConfig(ofEng.join("\n"))?.address).toBe("10.50.0.1");
    expect(readAgentConfig(mobile.join("\n"))?.caPem).toMatch(/^-----BEGIN CERTIFICATE-----\n[^-]+\n-----END/);
  });
});

describe("Access Server's property names", () => {
  const key = "prop_cli.script.win.user.connect";
  const property = (...args: string[]) => house.run(["property", ...args]);

  test("on a group and the default they are the scripts themselves, with versions", async () => {
    expect(await property("set", "--group", "eng", key, "@echo one")).toMatchObject({ status: 0 });
    expect(await property("set", "--default", key, "@echo all")).toMatchObject({ status: 0 });
    const win = ["--platform", "win", "--privilege", "user", "--event", "connect"];
    expect(await house.succeed(["client-script", "show", "--group", "eng", ...win])).toBe("@echo one");
    expect(await house.succeed(["property", "get", "--group", "eng", key])).toContain("@echo one");
    expect(await json("property", "get", "--default")).toContainEqual(
      expect.objectContaining({ key, value: "@echo all" }),
    );
    await house.succeed(["property", "set", "--group", "eng", key, "@echo two"]);
    // An import may say again what is so already.
    await house.succeed(["property", "set", "--group", "eng", key, "@echo two"]);
    expect(await json("client-script", "versions", "--group", "eng", ...win)).toHaveLength(2);
    expect(await property("delete", "--group", "eng", key)).toMatchObject({ status: 0 });
    expect(await property("delete", "--group", "eng", key)).toMatchObject({ status: 1 });
    expect(await house.run(["client-script", "show", "--group", "eng", ...win])).toMatchObject({ status: 1 });
    expect(await house.store.accounts.properties({ kind: "group", name: "eng" })).toEqual({});
  });

  test("the other properties of a group stay beside them", async () => {
    await house.succeed(["property", "set", "--group", "eng", "prop_autologin", "true"]);
    await house.succeed(["property", "set", "--group", "eng", key, "x"]);
    const { allProperties, properties } = house.clientScripts.accounts;
    expect(await properties({ kind: "group", name: "eng" })).toEqual({ prop_autologin: "true", [key]: "x" });
    expect(await allProperties()).toEqual([
      { owner: { kind: "group", name: "eng" }, properties: { prop_autologin: "true", [key]: "x" } },
    ]);
    await house.succeed(["property", "set", "--group", "eng", "prop_cli.script_stdin", "in"]);
    expect(await house.store.accounts.properties({ kind: "group", name: "eng" })).toMatchObject({
      "prop_cli.script_stdin": "in",
    });
  });

  test("on a user it is the user's own, and stands before the group's", async () => {
    await house.succeed(["property", "set", "--user", "bob", key, "own"]);
    expect(await json("client-script", "list")).toEqual([]);
    expect(await house.store.accounts.properties({ kind: "user", name: "bob" })).toEqual({ [key]: "own" });
  });

  test("under a name that is nearly a script's it is a property that nothing reads, and one is told", async () => {
    const misspelt = "prop_cli.script.beos.user.connect";
    expect(await property("set", "--group", "eng", misspelt, "x")).toMatchObject({
      status: 0,
      stderr: expect.stringMatching(/^It changes nothing: .*PLATFORM\.PRIVILEGE\.EVENT, .*linux/),
    });
    expect(await json("property", "set", "--default", `${key}ed`, "x")).toHaveProperty("unread");
    expect(await json("client-script", "list")).toEqual([]);
    for (const read of [key, "prop_cli.script_stdin", "prop_autologin"])
      expect(await property("set", "--user", "bob", read, "true")).toMatchObject({ status: 0, stderr: "" });
  });
});

describe("vpn.client.app_verify", () => {
  const configSet = (value: string) => house.run(["config", "set", "vpn.client.app_verify", value]);

  test("goes into the client configs of OpenVPN as comments, however it was spelt", async () => {
    await house.succeed(["config", "set", "vpn.client.app_verify", "['win']\nAV=^Defender\nlinux:SH=^bash$"]);
    expect((await house.clientScripts.comments("office")).slice(3)).toEqual([
      "# OVPN_ACCESS_SERVER_APP_VERIFY_START",
      "# win:AV=^Defender",
      "# linux:SH=^bash$",
      "# OVPN_ACCESS_SERVER_APP_VERIFY_STOP",
    ]);
    expect((await house.clientScripts.comments("mobile")).join("\n")).not.toContain("APP_VERIFY");
  });

  test("is refused with the lines that cannot be read", async () => {
    expect(await configSet("win:AV=(\nOK=x\nbeos:AV=x")).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/line 1: the regular expression of AV.*; line 3: "beos" is no platform/),
    });
  });
});
