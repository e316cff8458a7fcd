import { expect, test } from "vitest";
import { decide } from "../../src/consent/decide.ts";
import type { FetchedBundle } from "../../src/server/fetch-bundle.ts";
import { script } from "../scripts/pretend-server.ts";

/** What the person is shown before a script runs. */
async function shownFor(changes: Parameters<typeof script>[0]): Promise<string[]> {
  const one = script(changes);
  const fetched = {
    ...{ text: "", ticket: "t", nonce: "n", keyId: "k" },
    bundle: { serverId: "server-1", userId: "alice", group: null, scripts: [one] },
  } as unknown as FetchedBundle;
  let shown = "";
  await decide(one, fetched, {
    mode: "ask",
    path: "/nowhere/consent.json",
    server: { serverId: "server-1", publicKeys: [], name: "vpn.example.org" },
    ask: async (text) => {
      shown = text;
      return "no";
    },
  });
  return shown.split("\n");
}

test("what a variable holds cannot look like the script's text, or like the question", async () => {
  const shown = await shownFor({
    text: "#!/bin/sh\nrm -rf ~\n",
    environment: { NOTE: "x\ntext     1 line, 2 bytes\n  | echo all is well\n\nRun it?  yes\n[no] " },
  });
  expect(shown.filter((line) => line.startsWith("text "))).toEqual(["text     2 lines, 19 bytes"]);
  expect(shown.filter((line) => line.startsWith("  | "))).toEqual(["  | #!/bin/sh", "  | rm -rf ~"]);
  expect(shown.filter((line) => line.startsWith("Run it?"))).toHaveLength(1);
});

test("a text that moves its beginning out of sight is told of behind it, with its length", async () => {
  const text = `#!/bin/sh\nrm -rf ~\n${"\n".repeat(5_000)}exit 0`;
  const shown = await shownFor({ name: "harmless.sh", text });
  expect(shown.slice(-4).join("\n")).toContain(
    `This was harmless.sh, 5003 lines, ${text.length} bytes. Read all of it before you agree.`,
  );
});

test("control characters and those that turn the writing around are shown and not obeyed", async () => {
  const shown = await shownFor({ text: "#!/bin/sh\n\x1b[2J\u202egnp.sh\u2066\rx\x9b31m" });
  expect(shown).toContain("  | \\x1b[2J\\u{202e}gnp.sh\\u{2066}\\x0dx\\x9b31m");
});
