import { execFile } from "node:child_process";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { switches } from "../../src/client-scripts/hand-out.ts";
import { type GateHouse, openGateHouse } from "./gate-house.ts";

const checkout = resolve(import.meta.dirname, "../../../..");
const execute = promisify(execFile);

/** The words of a line as a shell reads it, without anything a shell would replace. */
function wordsOf(line: string): string[] {
  const words = line.match(/"(?:\\.|[^"\\])*"|\S+/g) ?? [];
  return words.map((word) => (word.startsWith('"') ? word.slice(1, -1).replaceAll(/\\(.)/g, "$1") : word));
}

describe("the page for administrators", () => {
  let house: GateHouse;
  beforeEach(async () => {
    house = await openGateHouse();
  });
  afterEach(() => house.close());

  test("has commands that all do what they should, in the order they stand", async () => {
    const page = await readFile(join(checkout, "docs/client-scripts.md"), "utf8");
    const blocks = [...page.matchAll(/^```sh\n(.*?)^```/gms)].map(([, block = ""]) => block);
    const commands = blocks.flatMap((block) => block.trim().split("\n")).map(wordsOf);
    expect(commands.length).toBeGreaterThan(15);
    for (const [program, ...args] of commands) {
      expect(program).toBe("sallyport");
      await house.succeed(args.map((word) => (word.startsWith("examples/") ? join(checkout, word) : word)));
    }
    const shown = await house.succeed(
      "client-script show --group eng --platform win --privilege user --event connect".split(" "),
    );
    expect(shown).toBe("@net use Z: \\\\files.example.org\\eng");
  });
});

test("the page names the settings as they are", async () => {
  const page = await readFile(join(checkout, "docs/client-scripts.md"), "utf8");
  for (const key of Object.values(switches)) expect(page).toContain(key);
});

describe("the examples for shares", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "share-"));
    const gio = `#!/bin/sh
case "$*" in
"mount --list") [ ! -e ${directory}/mounted ] || echo "Mount(0): eng -> smb://files.example.org/eng" ;;
"mount --force --unmount smb://files.example.org/eng") rm ${directory}/mounted; echo unmount >>${directory}/calls ;;
"mount smb://files.example.org/eng") touch ${directory}/mounted; echo mount >>${directory}/calls ;;
*) exit 9 ;;
esac
`;
    await writeFile(join(directory, "gio"), gio);
    await chmod(join(directory, "gio"), 0o755);
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  const run = (name: string) =>
    execute("/bin/sh", [join(checkout, "examples/client-scripts", name)], {
      env: { PATH: `${directory}:/usr/bin:/bin`, SHARE_URL: "smb://files.example.org/eng" },
    });

  test("mount once and unmount once, however often they run", async () => {
    await run("unmount-share.sh");
    await run("mount-share.sh");
    await run("mount-share.sh");
    await run("unmount-share.sh");
    await run("unmount-share.sh");
    expect(await readFile(join(directory, "calls"), "utf8")).toBe("mount\nunmount\n");
  });

  test("fail where the share is not named", async () => {
    const without = execute("/bin/sh", [join(checkout, "examples/client-scripts/mount-share.sh")], {
      env: { PATH: `${directory}:/usr/bin:/bin` },
    });
    await expect(without).rejects.toMatchObject({ stderr: expect.stringContaining("SHARE_URL") });
  });
});
