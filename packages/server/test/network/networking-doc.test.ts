import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { parseAccessRule } from "../../src/core/access-rule.ts";
import { baseChains } from "../../src/network/linux/base-table.ts";
import { routeProtocol } from "../../src/network/linux/routes.ts";

const page = await readFile(resolve(import.meta.dirname, "../../../../docs/networking.md"), "utf8");

test("every access rule that docs/networking.md shows can be read, and every kind is shown", () => {
  const shown = [...page.matchAll(/(?<=[`\s])\+[A-Z][^`\s]*/g)].map(([text]) => text);
  const kinds = new Set<string>();
  for (const text of shown) {
    if (/^\+[A-Z]+:?$/.test(text)) continue;
    const rule = parseAccessRule(text.replace("NETWORK", "10.0.0.0/8"));
    expect(rule, text).toBeDefined();
    kinds.add(rule?.kind ?? "");
  }
  expect(kinds).toEqual(new Set(["network", "group", "user", "all-clients", "profile-networks"]));
});

test("docs/networking.md names chains and routes as they are", () => {
  for (const [, chain = ""] of page.matchAll(/nft list chain inet sallyport (\S+)/g)) {
    expect(Object.keys(baseChains)).toContain(chain);
  }
  for (const [, protocol] of page.matchAll(/route show proto (\d+)/g)) expect(protocol).toBe(`${routeProtocol}`);
});
