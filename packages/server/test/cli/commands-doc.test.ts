import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { Command } from "commander";
import { beforeAll, expect, test } from "vitest";
import type { Cli } from "../../src/cli/cli.ts";
import { buildProgram } from "../../src/cli/program.ts";

const file = resolve(import.meta.dirname, "../../../../docs/commands.md");

type Section = { usage: string; text: string; examples: string[] };

let sections: Section[];
let leaves: Map<string, Command>;

beforeAll(async () => {
  const program = await buildProgram({} as Cli, () => true);
  leaves = new Map(leavesOf(program, []).map(({ path, command }) => [path, command]));
  const text = await readFile(file, "utf8");
  sections = text
    .split(/^### /m)
    .slice(1)
    .map((part) => {
      const [heading = "", ...rest] = (part.split(/^## /m)[0] ?? "").split("\n");
      const body = rest.join("\n");
      const examples = [...body.matchAll(/^```sh\n(.*?)^```/gms)].flatMap(([, code = ""]) => code.trim().split("\n"));
      return { usage: heading.replaceAll("`", ""), text: body, examples };
    });
});

function leavesOf(command: Command, path: readonly string[]): { path: string; command: Command }[] {
  if (command.commands.length === 0) return [{ path: path.join(" "), command }];
  return command.commands.flatMap((sub) => leavesOf(sub, [...path, sub.name()]));
}

function usageOf(path: string, command: Command): string {
  const words = command.registeredArguments.map((argument) => {
    const name = argument.variadic ? `${argument.name()}...` : argument.name();
    return argument.required ? `<${name}>` : `[${name}]`;
  });
  return ["sallyport", path, ...words].join(" ");
}

test("each command has its section, with its arguments, and each section its command", () => {
  const usages = [...leaves].map(([path, command]) => usageOf(path, command));
  expect(usages.length).toBeGreaterThan(40);
  expect(sections.map(({ usage }) => usage).sort()).toEqual(usages.sort());
});

test("each option of a command is described in its section, and none that it has not", () => {
  for (const [path, command] of leaves) {
    const section = sections.find(({ usage }) => usage === usageOf(path, command));
    const known = command.options.map(({ long }) => long ?? "").sort();
    const prose = (section?.text ?? "").replaceAll(/^```.*?^```/gms, "");
    expect([path, optionsIn(prose)]).toEqual([path, known]);
  }
});

test("each command is shown in an example", () => {
  for (const [path, command] of leaves) {
    const examples = sections.find(({ usage }) => usage === usageOf(path, command))?.examples ?? [];
    expect([path, examples.some((line) => line.includes(`sallyport ${path}`))]).toEqual([path, true]);
  }
});

test("each example is of a command that exists, with options that it has", () => {
  const examples = sections.flatMap((section) => section.examples);
  for (const line of examples) {
    const words = line.slice(line.indexOf("sallyport ") + "sallyport ".length);
    const [path = "", command] = [...leaves].find(([name]) => `${words} `.startsWith(`${name} `)) ?? [];
    expect([line, path]).not.toEqual([line, ""]);
    const known = command?.options.map(({ long }) => long) ?? [];
    expect([line, optionsIn(words).filter((option) => !known.includes(option))]).toEqual([line, []]);
  }
});

test.each(["troubleshooting.md", "migrating.md"])("each example of %s is of a command that exists", async (page) => {
  const text = await readFile(resolve(file, "..", page), "utf8");
  const blocks = [...text.matchAll(/^ *```sh\n(.*?)^ *```/gms)].flatMap(([, code = ""]) => code.trim().split("\n"));
  const examples = blocks.map((line) => line.trim()).filter((line) => line.startsWith("sallyport "));
  expect(examples.length).toBeGreaterThan(1);
  for (const line of examples) {
    const words = line.slice("sallyport ".length);
    const [path = "", command] = [...leaves].find(([name]) => `${words} `.startsWith(`${name} `)) ?? [];
    expect([line, path]).not.toEqual([line, ""]);
    const known = command?.options.map(({ long }) => long) ?? [];
    expect([line, optionsIn(words).filter((option) => !known.includes(option))]).toEqual([line, []]);
  }
});

/** Those every command has are left out. */
function optionsIn(text: string): string[] {
  const found = new Set<string>(text.match(/(?<![\w-])--[a-z][a-z_-]*/g) ?? []);
  return [...found].filter((option) => option !== "--json" && option !== "--config").sort();
}
