import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { interpret } from "../../src/interpreter/interpret.ts";

const document = resolve(import.meta.dirname, "../../../../docs/client-script-languages.md");
const text = await readFile(document, "utf8");
const rows = [...text.matchAll(/^\| (?:\(none\)|`(#.*)`) \| `(".*)` \|$/gm)].map(([, line = "echo 1", command]) => ({
  line,
  command,
}));

test("the table of command lines is found", () => {
  expect(rows.length).toBeGreaterThan(9);
});

test.each(rows)("docs/client-script-languages.md tells the truth about $line", ({ line, command }) => {
  const programs = ["foo.exe", "batch.cmd", "powershell.exe", "cscript.exe"].map((name) => `C:\\Tools\\${name}`);
  const start = interpret(
    { text: `${line}\n`, fileBase: "x" },
    {
      platform: "win",
      environment: { PATH: "C:\\Tools" },
      directory: "C:\\s",
      python: "auto",
      isProgram: (path) => [...programs, "c:\\Program Files\\Foo\\foo.exe"].includes(path),
    },
  );
  expect(start).toMatchObject({ kind: "start", commandLine: command });
});

test("the examples that the document names are there", async () => {
  for (const [, path = ""] of text.matchAll(/\]\(\.\.\/(examples\/[^)]+)\)/g)) {
    expect(await readFile(join(document, "../..", path), "utf8")).toMatch(/^#PYTHON\n/);
  }
});
