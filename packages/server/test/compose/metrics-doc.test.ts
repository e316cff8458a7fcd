import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { createFigures } from "../../src/compose/figures/figures.ts";
import { errorTable } from "../../src/core/error-table.ts";

const page = await readFile(resolve(import.meta.dirname, "../../../../docs/metrics.md"), "utf8");

type Described = { name: string; type: string; labels: string };

const documented: Described[] = page.split("\n").flatMap((line) => {
  const [, name = "", type = "", labels = ""] = /^\| `(sallyport_\w+)` \| (\w+) \| ([^|]*)\|/.exec(line) ?? [];
  return name === "" ? [] : [{ name, type, labels: labels.replaceAll(/[` ]/g, "") }];
});
const metrics = createFigures().registry.getMetricsAsArray() as unknown as {
  name: string;
  type: string;
  labelNames?: string[];
}[];
const ours: Described[] = metrics
  .filter(({ name }) => name.startsWith("sallyport_"))
  .map(({ name, type, labelNames = [] }) => ({ name, type, labels: labelNames.join(",") }));
const byName = (a: Described, b: Described) => (a.name < b.name ? -1 : 1);

test("docs/metrics.md names every figure with its type and labels, and none that is not told", () => {
  expect(documented.length).toBeGreaterThan(10);
  expect(documented.toSorted(byName)).toEqual(ours.toSorted(byName));
});

test("the alert rules ask for figures, labels and codes that there are", () => {
  const blocks = [...page.matchAll(/```yaml\n(# sallyport\.rules[\s\S]*?)```/g)].map(([, text = ""]) => text);
  const rules = blocks
    .flatMap((text) => parseAllDocuments(text))
    .flatMap((document) => document.toJS().groups[0].rules);
  expect(rules.length).toBeGreaterThan(5);
  const known = new Set(metrics.flatMap(({ name }) => [name, `${name}_count`, `${name}_sum`, `${name}_bucket`]));
  for (const { expr, annotations } of rules as { expr: string; annotations: { summary: string } }[]) {
    const [name = ""] = /\b(?:sallyport|nodejs)_\w+/.exec(expr) ?? [];
    expect(known, expr).toContain(name);
    const labels = metrics.find((metric) => metric.name === name)?.labelNames ?? [];
    const fromScrape = ["job", "instance"];
    for (const [, label = ""] of [
      ...expr.matchAll(/[{,](\w+)[=!]/g),
      ...annotations.summary.matchAll(/\$labels\.(\w+)/g),
    ])
      expect([...labels, ...fromScrape], expr).toContain(label);
    const [, codes = ""] = /code=~?"([^"]+)"/.exec(expr) ?? [];
    for (const code of codes.split("|").filter(Boolean)) expect(Object.keys(errorTable)).toContain(code);
  }
});
