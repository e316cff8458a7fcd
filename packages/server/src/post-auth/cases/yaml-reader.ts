import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from "yaml";
import { SallyportError } from "../../core/errors.ts";

const deepest = 12;
const mostValues = 50_000;

/** Where something is wrong in a file of cases: a line from 1. */
export function caseFault(line: number, message: string): SallyportError {
  return new SallyportError("invalid-input", `cases, line ${line}: ${message}`);
}

/** A value of a YAML or JSON file that knows its line. Scalars keep their spelling: `3.10` is not 3.1. */
export type Place = { line: number } & (
  | { kind: "mapping"; entries: Map<string, Place> }
  | { kind: "list"; items: Place[] }
  | { kind: "scalar"; value: unknown; text: string }
);

/** Reads one document of YAML or JSON. Throws a SallyportError `invalid-input` that names the line. */
export function readPlaces(text: string): Place {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true });
  const lineOf = (offset: number | undefined) => (offset === undefined ? 1 : lines.linePos(offset).line);
  const [error] = document.errors;
  if (error) throw caseFault(lineOf(error.pos[0]), error.message.split("\n")[0] ?? "this is no YAML");
  let values = 0;

  const read = (node: Node | null, around: number, depth: number): Place => {
    const line = node?.range ? lineOf(node.range[0]) : around;
    values += 1;
    if (depth > deepest || values > mostValues) throw caseFault(line, "there is too much in this file, or too deep");
    if (node === null) return { line, kind: "scalar", value: null, text: "" };
    if (isAlias(node)) return read((node.resolve(document) ?? null) as Node | null, line, depth + 1);
    if (isSeq(node)) {
      return { line, kind: "list", items: node.items.map((item) => read(item as Node | null, line, depth + 1)) };
    }
    if (isMap(node)) {
      const entries = new Map<string, Place>();
      for (const { key, value } of node.items) {
        if (!isScalar(key)) throw caseFault(line, "a key must be a word");
        const place = read(value as Node | null, key.range ? lineOf(key.range[0]) : line, depth + 1);
        entries.set(key.source ?? String(key.value), place);
      }
      return { line, kind: "mapping", entries };
    }
    if (isScalar(node)) {
      const { value } = node;
      return { line, kind: "scalar", value, text: typeof value === "string" ? value : (node.source ?? String(value)) };
    }
    throw caseFault(line, "this kind of YAML is not read here");
  };
  return read(document.contents, 1, 0);
}
