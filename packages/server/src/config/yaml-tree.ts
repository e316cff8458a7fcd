import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  Scalar,
  type YAMLError,
  type YAMLMap,
} from "yaml";
import { type ConfigFault, describeValue, keyOf, type Path, type Place } from "./faults.ts";
import { substitute } from "./substitute.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** A YAML file as plain data that remembers where everything stands. */
export type YamlTree = {
  /** The top mapping. Mappings have no prototype. */
  value: Record<string, unknown>;
  /** Where a key or its value begins; what is not in the file stands where the mapping around it does. */
  placeOf(path: Path, part: "key" | "value"): Place;
  /** The text as it was written, where variables were replaced in it; `bare`: without quotes, so it may be a number. */
  writtenAt(path: Path): { text: string; bare: boolean } | undefined;
};

const deepest = 16;

/**
 * Reads a YAML mapping and replaces `${VARIABLES}` in its texts, after parsing, so that no variable's value can become
 * a key. Refused: what makes a file mean something else than it seems to (duplicate keys, anchors and aliases, tags,
 * several documents), control characters, and whatever is no YAML.
 */
export function readYaml(
  text: string,
  environment: Environment,
): { tree: YamlTree | undefined; faults: ConfigFault[] } {
  const lines = new LineCounter();
  const faults: ConfigFault[] = [];
  const starts = new Map<string, { key: number; value: number }>();
  const written = new Map<string, { text: string; bare: boolean }>();

  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const fault = (path: Path, offset: number, expected: string, found: string): undefined => {
    faults.push({ key: keyOf(path), ...placeAt(offset), expected, found });
  };

  const read = (node: unknown, path: Path, keyStart: number): unknown => {
    const start = startOf(node) ?? keyStart;
    starts.set(keyOf(path), { key: keyStart, value: start });
    if (node === null || node === undefined) return null;
    if (isAlias(node)) return fault(path, start, "the value itself", "an alias (anchors and aliases are not read)");
    if ((node as { anchor?: string }).anchor)
      fault(path, start, "a value without an anchor", "one (anchors and aliases are not read)");
    if (path.length > deepest) return fault(path, start, `at most ${deepest} levels`, "one more");
    if (isMap(node)) return readMapping(node, path, start);
    if (isSeq(node)) return node.items.map((item, i) => read(item, [...path, i], startOf(item) ?? start));
    if (!isScalar(node)) return fault(path, start, "a value", "something else");
    return typeof node.value === "string" ? readString(node as Scalar<string>, path, start) : node.value;
  };

  const readMapping = (node: YAMLMap, path: Path, start: number): Record<string, unknown> => {
    const mapping: Record<string, unknown> = Object.create(null);
    for (const { key, value } of node.items) {
      const keyStart = startOf(key) ?? start;
      if (!isScalar(key) || key.value === null) {
        fault(path, keyStart, "keys that are words", "something else");
        continue;
      }
      const name = String(key.value);
      const below = [...path, name];
      const first = name in mapping ? starts.get(keyOf(below)) : undefined;
      if (first)
        fault(below, keyStart, "each key once", `it a second time (the first is on line ${placeAt(first.key).line})`);
      else mapping[name] = read(value, below, keyStart);
    }
    return mapping;
  };

  const readString = (node: Scalar<string>, path: Path, start: number): string => {
    const value = substitute(node.value, environment, (expected, found) => fault(path, start, expected, found));
    if (value !== node.value) written.set(keyOf(path), { text: node.value, bare: node.type === Scalar.PLAIN });
    if (/[\p{Cc}\u2028\u2029]/u.test(value))
      fault(path, start, "text on one line", "a control character or line break in it");
    else if (!value.isWellFormed()) fault(path, start, "text", "half a character (a lone surrogate) in it");
    return value;
  };

  // `uniqueKeys` compares each key with each other: 50,000 keys take 20 seconds. Duplicates are found above instead.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false });
  const problems = [...telling(document.errors), ...document.warnings];
  for (const problem of problems) fault([], problem.pos[0], "YAML", inWords(problem, text));
  if (problems.length > 0) return { tree: undefined, faults };

  const value = read(document.contents, [], 0);
  if (value === null) fault([], 0, "a configuration", "nothing in the file");
  else if (!isMap(document.contents) && faults.length === 0) fault([], 0, "keys with values", describeValue(value));
  if (!isMap(document.contents)) return { tree: undefined, faults };
  return {
    faults,
    tree: {
      value: value as Record<string, unknown>,
      placeOf: (path, part) => {
        for (let length = path.length; length > 0; length--) {
          const found = starts.get(keyOf(path.slice(0, length)));
          if (found) return placeAt(found[length === path.length ? part : "key"]);
        }
        return { line: 1, column: 1 };
      },
      writtenAt: (path) => written.get(keyOf(path)),
    },
  };
}

function startOf(node: unknown): number | undefined {
  return (node as { range?: [number] | null } | null)?.range?.[0];
}

/** One slip often makes a row of errors: the first tells, and tabs tell on every line. */
function telling(errors: readonly YAMLError[]): YAMLError[] {
  return errors.filter((error, i) => i === 0 || (error.code === "TAB_AS_INDENT" && i < 20));
}

function inWords(problem: YAMLError, text: string): string {
  if (problem.code === "TAB_AS_INDENT") return "a tab as indentation (indent with spaces)";
  if (problem.code === "RESOURCE_EXHAUSTION") return "values nested too deeply";
  if (problem.code === "MULTIPLE_DOCS") return "a second document (one file holds one configuration)";
  const lineStart = text.lastIndexOf("\n", problem.pos[0] - 1) + 1;
  const variable =
    /[{[,:]\s*\$$/.test(text.slice(lineStart, problem.pos[0])) || text.startsWith("${", problem.pos[0] - 1);
  const hint = variable ? " (between { } and [ ], put variables in quotes)" : "";
  const message = problem.message
    .replace(/[\p{Cc}\u2028\u2029]/gu, " ")
    .slice(0, 160)
    .toWellFormed();
  return `a mistake: ${message.charAt(0).toLowerCase()}${message.slice(1)}${hint}`;
}
