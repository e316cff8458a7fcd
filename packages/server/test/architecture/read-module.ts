import { posix } from "node:path";
import { parseAstAsync } from "vitest/node";

/** A module as the rules see it. Paths are relative to the checkout, with slashes. */
export type Module = {
  path: string;
  lines: number;
  /** Files of ours, by path, whichever way they are reached: import, re-export, `import()`, `new URL(…)` of a worker. */
  ours: string[];
  /** Those of them that are code of this program, not files that it hands to another one by `new URL(…)`. */
  imported: string[];
  /** Names of npm packages; Node's own modules are left out. */
  packages: string[];
  /** What it does that is forbidden in some places, in words. */
  habits: string[];
};

type Node = { type: string; [key: string]: unknown };

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value && typeof value.type === "string";
}

function* walk(node: Node): Generator<Node> {
  yield node;
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) yield* walk(child);
  }
}

const named = (node: unknown, name: string) => isNode(node) && node.type === "Identifier" && node.name === name;
const textOf = (node: unknown) => (isNode(node) && typeof node.value === "string" ? node.value : undefined);

function specifierOf(node: Node): string | undefined {
  switch (node.type) {
    case "ImportDeclaration":
    case "ExportNamedDeclaration":
    case "ExportAllDeclaration":
    case "ImportExpression":
    case "TSImportType":
      return textOf(node.source);
    case "CallExpression":
      return named(node.callee, "require") ? textOf((node.arguments as unknown[])[0]) : undefined;
    case "NewExpression": {
      const path = named(node.callee, "URL") ? textOf((node.arguments as unknown[])[0]) : undefined;
      return path?.startsWith(".") && /\.[a-z]+$/.test(path) ? path : undefined;
    }
    default:
      return undefined;
  }
}

const isChildProcess = (specifier: string | undefined) => /^(node:)?child_process$/.test(specifier ?? "");

function habitsOf(nodes: Node[]): string[] {
  const habits: string[] = [];
  const childProcess = new Set<string>();
  for (const node of nodes) {
    if (node.type !== "ImportDeclaration" || !isChildProcess(specifierOf(node))) continue;
    for (const specifier of node.specifiers as Node[]) {
      const imported = specifier.imported as Node | undefined;
      if (imported === undefined) childProcess.add(String((specifier.local as Node).name));
      else if (/^exec(Sync)?$/.test(String(imported.name))) habits.push("runs a shell (child_process.exec)");
    }
  }
  for (const node of nodes) {
    if (node.type === "MemberExpression") {
      const object = node.object as Node;
      if (named(object, "console")) habits.push("writes to the console");
      const isModule = object.type === "Identifier" && childProcess.has(String(object.name));
      const property = node.property as Node;
      if (isModule && (named(property, "exec") || named(property, "execSync"))) {
        habits.push("runs a shell (child_process.exec)");
      }
    }
    const isShell = node.type === "Property" && (named(node.key, "shell") || textOf(node.key) === "shell");
    if (isShell && (node.value as Node).value !== false) habits.push("runs a shell (shell: true)");
  }
  return habits;
}

export async function readModule(path: string, text: string): Promise<Module> {
  const lang = path.endsWith("x") ? "tsx" : "ts";
  const nodes = [...walk((await parseAstAsync(text, { lang }, path)) as unknown as Node)];
  const isSpecifier = (specifier: string | undefined) => specifier !== undefined;
  const specifiers = nodes.map(specifierOf).filter(isSpecifier);
  const imports = nodes.filter(({ type }) => type !== "NewExpression");
  const resolved = (of: string[]) => of.filter((s) => s.startsWith(".")).map((s) => posix.join(posix.dirname(path), s));
  const bare = specifiers.filter((specifier) => !specifier.startsWith(".") && !specifier.startsWith("node:"));
  return {
    path,
    lines: text.split("\n").length - 1,
    ours: resolved(specifiers),
    imported: resolved(imports.map(specifierOf).filter(isSpecifier)),
    packages: bare.map((s) => s.match(/^(@[^/]+\/)?[^/]+/)?.[0] ?? s),
    habits: habitsOf(nodes),
  };
}
