import { describe, expect, it } from "vitest";
import { parseDuration } from "../../src/config/duration.ts";
import { findConfigFile } from "../../src/config/paths.ts";

describe("the configuration file", () => {
  it("is the one named, else $SALLYPORT_CONFIG, else the standard one", () => {
    const environment = { SALLYPORT_CONFIG: "/env.yaml" };
    expect(findConfigFile({ explicit: "/named.yaml", environment })).toBe("/named.yaml");
    expect(findConfigFile({ explicit: undefined, environment })).toBe("/env.yaml");
    expect(findConfigFile({ explicit: undefined, environment: { SALLYPORT_CONFIG: "" } })).toBe(
      "/etc/sallyport/sallyport.yaml",
    );
    expect(findConfigFile({ explicit: undefined, environment: {} })).toBe("/etc/sallyport/sallyport.yaml");
    expect(findConfigFile({ explicit: "x.yaml", environment })).toBe(`${process.cwd()}/x.yaml`);
  });
});

describe("an ISO 8601 duration", () => {
  it.each([
    ["P30D", 30 * 86_400_000],
    ["PT12H", 12 * 3_600_000],
    ["P1Y", 365 * 86_400_000],
    ["P2W", 14 * 86_400_000],
    ["P1DT1H1M1S", 90_061_000],
    ["P1M", 30 * 86_400_000],
    ["PT90M", 5_400_000],
  ])("%s is %d ms", (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each(["", "P", "PT", "P1DT", "30D", "P-1D", "P1.5D", "P0D", "p30d", "P11Y", "P1D ", "P1H", "PT1D"])(
    "is not %j",
    (text) => {
      expect(parseDuration(text)).toBeUndefined();
    },
  );
});
