import { copyFile, mkdtemp, rename, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { examineGeoIp } from "../../src/compose/geo-ip.ts";
import type { Config } from "../../src/config/config.ts";
import { GeoIp } from "../../src/hooks/geo-ip.ts";
import { until } from "../waiting.ts";
import { hooksOf, listener, node, silent } from "./hook.ts";
import { openLedger } from "./ledger.ts";
import { mmdb } from "./mmdb.ts";

const published = join(
  dirname(fileURLToPath(import.meta.resolve("@ip-location-db/geo-whois-asn-country-mmdb/package.json"))),
  "geo-whois-asn-country.mmdb",
);
const berlin = { country: { iso_code: "DE" }, location: { latitude: 52.52, longitude: -0.0000001 } };
let directory: string;
let file: string;
let nowMs: number;
let said: string[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "geo-ip-"));
  file = join(directory, "city.mmdb");
  [nowMs, said] = [0, []];
});
afterEach(() => rm(directory, { recursive: true }));

const log = { ...silent, warn: (_: object, text: string) => void said.push(text), info: silent.info };

async function opened(): Promise<GeoIp> {
  const geoIp = new GeoIp({ file, log, clock: () => nowMs });
  await geoIp.refresh();
  return geoIp;
}

describe("a GeoIP database", () => {
  it("with nested records, as MaxMind's are, says country and place", async () => {
    await writeFile(
      file,
      mmdb({ "198.51.100.0/24": berlin, "203.0.113.0/24": { registered_country: { iso_code: "NL" } } }),
    );
    const { locate } = await opened();
    expect(locate("198.51.100.7")).toEqual({ country: "DE", uri: "geo:52.52,0" });
    expect(locate("203.0.113.1")).toEqual({ country: "NL" });
    expect([locate("192.0.2.1"), locate("2001:db8::1"), locate("nonsense")]).toEqual([{}, {}, {}]);
  });

  it("with flat records, as others' are, says so too", async () => {
    await writeFile(file, mmdb({ "198.51.100.0/24": { country_code: "FR", latitude: "48.85", longitude: 2.35 } }));
    expect((await opened()).locate("198.51.100.7")).toEqual({ country: "FR", uri: "geo:48.85,2.35" });
  });

  it("as it is published says where known addresses are", async () => {
    file = published;
    const { locate } = await opened();
    expect(locate("193.0.6.139")).toEqual({ country: "NL" });
    expect(locate("2001:67c:2e8:22::c100:68b")).toEqual({ country: "NL" });
    expect(locate("10.1.2.3")).toEqual({});
  });

  it("that is replaced while it is used is picked up, by renaming or in place", async () => {
    await writeFile(file, mmdb({ "198.51.100.0/24": { country_code: "AA" } }));
    const { locate } = await opened();
    for (const [country_code, replace] of [
      ["BB", (from: string) => rename(from, file)],
      ["CC", (from: string) => copyFile(from, file)],
    ] as const) {
      await writeFile(`${file}.new`, mmdb({ "198.51.100.0/24": { country_code, longer: country_code } }));
      await replace(`${file}.new`);
      await until("it is picked up", () => {
        nowMs += 10_000;
        return locate("198.51.100.7").country === country_code;
      });
    }
    expect(said).toEqual([]);
  });

  it("that is missing or broken is told once, keeps the answers there were, and is picked up when it is mended", async () => {
    await writeFile(file, mmdb({ "198.51.100.0/24": { country_code: "AA" } }));
    const geoIp = await opened();
    await truncate(file, 40);
    for (let i = 0; i < 3; i += 1) await geoIp.refresh();
    expect(said).toEqual(["the GeoIP database cannot be read; hooks are told no places"]);
    expect(geoIp.locate("198.51.100.7")).toEqual({ country: "AA" });
    await writeFile(file, mmdb({ "198.51.100.0/24": { country_code: "BB" } }));
    await geoIp.refresh();
    expect(geoIp.locate("198.51.100.7")).toEqual({ country: "BB" });
  });

  it("that was never there keeps nobody out", async () => {
    const { locate } = await opened();
    expect(locate("198.51.100.7")).toEqual({});
    expect(said).toHaveLength(1);
  });

  it("is what `doctor` looks at", async () => {
    const examine = () => examineGeoIp({ geoIp: { database: file } } as Config);
    expect(await examine()).toMatchObject([{ state: "warning", what: expect.stringContaining("ENOENT") }]);
    await writeFile(file, "no database");
    expect(await examine()).toMatchObject([
      {
        state: "warning",
        what: expect.stringContaining("is not a MaxMind DB file"),
        next: expect.stringContaining("picked up"),
      },
    ]);
    await writeFile(file, mmdb({ "198.51.100.0/24": berlin }));
    expect(await examine()).toMatchObject([{ state: "ok", what: `${file} is Test-City, built 2026-09-21` }]);
    expect(await examineGeoIp({ geoIp: null } as Config)).toEqual([]);
  });
});

it("hooks are told of the place with the connect, vetoes and observers, and not with the disconnect", async () => {
  await writeFile(file, mmdb({ "198.51.100.0/24": berlin }));
  const { locate } = await opened();
  await using ledger = await openLedger();
  const all = [listener({ name: "gate", veto: true }), listener({ name: "siem" })];
  const hooks = hooksOf(all, ledger.store, { node: { ...node, locate } });
  await hooks.start();
  const connection = await ledger.reserve();
  await hooks.vetoes.ask(connection);
  await ledger.store.ledger.admit(connection.id, { at: new Date().toISOString(), save: {}, observers: ["siem"] });
  await ledger.end(connection.id, hooks.subscribers());
  hooks.wake();
  await until("both have heard both", () => all.every(({ told }) => told.length === 2));
  await hooks.stop(1_000);
  for (const { told } of all) {
    expect(told[0]).toMatchObject({ event: "C", geoIpCc: "DE", geoIpUri: "geo:52.52,0" });
    expect(Object.keys(told[1] ?? {})).not.toContain("geoIpCc");
  }
});
