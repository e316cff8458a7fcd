import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { until } from "../../../server/test/waiting.ts";
import { believableNameServers } from "../../src/machine/name-servers.ts";
import { resolvconfText } from "../../src/machine/resolvconf.ts";
import { scutilNameServers, scutilText } from "../../src/machine/scutil.ts";

let directory: string;
const record = () => join(directory, "record");
const recorded = () => readFile(record(), "utf8").catch(() => "");

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "names-"));
});

afterEach(() => rm(directory, { recursive: true }));

/** A program in scutil's place: writes down what it is told, answers `show`, and ends with its input. */
async function standIn(answer = "<dictionary> { ServerAddresses : <array> { 0 : 10.0.0.53 } }"): Promise<string> {
  const path = join(directory, "scutil");
  const answers = `case "$line" in show*) echo "${answer}";; quit) break;; esac`;
  const text = `#!/bin/sh\nwhile read -r line; do echo "$line" >>${record()}; ${answers}; done\necho gone >>${record()}\n`;
  await writeFile(path, text, { mode: 0o700 });
  return path;
}

const wanted = { servers: ["10.0.0.53", "fd42::53"], search: ["corp.example.org"] };

test("scutil is told exactly this", () => {
  expect(scutilText("sallyport.77", wanted)).toBe(
    `remove State:/Network/Service/sallyport.77/DNS
d.init
d.add ServerAddresses * 10.0.0.53 fd42::53
d.add SearchDomains * corp.example.org
d.add SupplementalMatchDomains * "" corp.example.org
add State:/Network/Service/sallyport.77/DNS temporary
show State:/Network/Service/sallyport.77/DNS
`,
  );
  expect(scutilText("s", { servers: ["10.0.0.53"], search: [] })).not.toContain("SearchDomains");
});

test("resolvconf is told exactly this", () => {
  expect(resolvconfText(wanted)).toBe("nameserver 10.0.0.53\nnameserver fd42::53\nsearch corp.example.org\n");
  expect(resolvconfText({ ...wanted, search: [] })).toBe("nameserver 10.0.0.53\nnameserver fd42::53\n");
});

test("of what a server names only addresses and domains are believed, once each", () => {
  const servers = ["10.0.0.53", "10.0.0.53", "fe80::1%en0", "::1\nremove x", "localhost", ""];
  const search = ["corp.example.org.", "a b", 'x"', "x\nquit", "-x", "..", "", `${"a".repeat(64)}.org`, "internal"];
  expect(believableNameServers({ servers, search })).toEqual({
    servers: ["10.0.0.53"],
    search: ["corp.example.org", "internal"],
  });
});

test("the setting stays as long as the tunnel, changes with it, and is taken away at its end", async () => {
  const said: string[] = [];
  const setting = scutilNameServers({ name: "t", log: (text) => said.push(text), program: await standIn() });
  await setting.set(wanted);
  await setting.set({ servers: ["10.0.0.54"], search: [] });
  const before = await recorded();
  expect(before.match(/^add State:.* temporary$/gm)).toHaveLength(2);
  expect(before).not.toContain("gone");
  await setting.close();
  expect((await recorded()).slice(before.length)).toBe("remove State:/Network/Service/t/DNS\nquit\ngone\n");
  await setting.set(wanted);
  expect((await recorded()).match(/temporary/g)).toHaveLength(3);
  await setting.close();
  expect(said).toEqual([]);
});

test("the log says when it was not done", async () => {
  const said: string[] = [];
  const log = (text: string) => void said.push(text);
  const refused = scutilNameServers({ name: "t", log, program: await standIn("  Permission denied") });
  const asked = refused.set(wanted);
  const missing = scutilNameServers({ name: "t", log, program: join(directory, "none") });
  await missing.set(wanted);
  await missing.close();
  expect(said).toEqual([expect.stringMatching(/fd42::53 were not set: .*ENOENT/)]);
  await until("it to be asked", async () => (await recorded()).includes("show"));
  await refused.close();
  await asked;
  expect(said[1]).toContain("were not set: Permission denied");
});

test("of an agent that is killed nothing stays: its scutil ends with it", async () => {
  const module = join(import.meta.dirname, "../../src/machine/scutil.ts");
  const program = `import { scutilNameServers } from ${JSON.stringify(module)};
    const setting = scutilNameServers({ name: "t", log: console.log, program: ${JSON.stringify(await standIn())} });
    await setting.set(${JSON.stringify(wanted)});
    setInterval(() => undefined, 1_000);`;
  const agent = spawn(process.execPath, ["--input-type=module-typescript", "--eval", program], { stdio: "inherit" });
  await until("it to be set", async () => (await recorded()).includes("show"));
  expect(await recorded()).not.toContain("gone");
  agent.kill("SIGKILL");
  await until("scutil to be gone", async () => (await recorded()).includes("gone"));
});
