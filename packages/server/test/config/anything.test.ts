// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are what the configuration replaces.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import type { SallyportError } from "../../src/core/errors.ts";
import { configFile, least } from "./reading.ts";

describe("whatever is in the file", () => {
  const value: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
    leaf: fc.oneof(
      fc.string({ maxLength: 20 }),
      fc.string({ unit: "binary", maxLength: 10 }),
      fc.constantFrom(
        "${A}",
        "${B}",
        "$${",
        "${",
        "udp/1194",
        "10.0.0.0/8",
        "fd00::/64",
        "sqlite",
        "connect",
        null,
        true,
        0,
        -1,
        Number.POSITIVE_INFINITY,
        NaN,
      ),
      fc.double(),
      fc.integer(),
    ),
    tree: fc.oneof(
      { maxDepth: 4 },
      tie("leaf"),
      fc.array(tie("tree"), { maxLength: 3 }),
      fc.dictionary(
        fc.constantFrom(
          ..."dataDirectory database node http connectScriptPath hooks geoIp profiles scripts lockOut id name script webhook module openvpn wireguard managed attach listen ranges ipv4 ipv6 routes dns retry events veto deadlineMs secret secretFile url passwordFile hostName number __proto__ constructor".split(
            " ",
          ),
        ),
        tie("tree"),
        { maxKeys: 6 },
      ),
    ),
  })).tree;

  const only = async (text: string | Uint8Array) => {
    const { file } = await configFile(text);
    try {
      await loadConfig({ file, environment: { A: "1", B: "x\n: [" } });
    } catch (error) {
      expect(error).toMatchObject({ name: "SallyportError", code: "config-invalid" });
      for (const line of (error as SallyportError).message.split("\n").slice(1))
        expect(line).toMatch(/^ {2}(line \d+, column \d+: )?.*expected .+, found .+$/);
    }
  };

  it("loadConfig throws nothing but config-invalid: any structure", async () => {
    await fc.assert(
      fc.asyncProperty(value, (tree) => only(JSON.stringify(tree) ?? "")),
      { numRuns: 400 },
    );
  });

  it("loadConfig throws nothing but config-invalid: any bytes", async () => {
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), only), { numRuns: 200 });
  });

  it("loadConfig throws nothing but config-invalid: a good file with something put into it", async () => {
    const piece = fc.constantFrom(
      "\t",
      "\n",
      ": ",
      "- ",
      "{",
      "}",
      "[",
      "]",
      "&a ",
      "*a ",
      "!t ",
      "|",
      ">",
      "'",
      '"',
      "#",
      "?",
      "\\",
      "\0",
      "\u2028",
      "${",
      "%",
      "@",
      "---",
      "\ud83d\ude00",
      "null",
      "~",
    );
    const mutated = fc
      .array(fc.tuple(fc.nat(least.length), piece), { minLength: 1, maxLength: 4 })
      .map((changes) => changes.reduce((text, [at, put]) => text.slice(0, at) + put + text.slice(at), least));
    await fc.assert(fc.asyncProperty(mutated, only), { numRuns: 400 });
  });
});
