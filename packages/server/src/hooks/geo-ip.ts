import { open, stat } from "node:fs/promises";
import { Reader, type Response } from "maxmind";
import type { Log } from "../core/log.ts";

/** Where an address is; what the database does not say is left out. */
export type Place = {
  /** ISO 3166-1, two letters. */
  country?: string;
  /** `geo:` URI (RFC 5870): latitude and longitude in degrees. */
  uri?: string;
};

export type Locate = (address: string) => Place;

export type GeoIpFacts = { type: string; built: string };

const lookAgainMs = 10_000;
const largestBytes = 1024 * 1024 * 1024;

/**
 * Looks addresses up in a MaxMind DB file. Its file may be replaced at any time: it is looked at again every few seconds
 * while it is used. Without one that can be read nobody is kept out; the log says so once, and old answers go on.
 */
export class GeoIp {
  readonly #file: string;
  readonly #log: Log;
  readonly #clock: () => number;
  #reader: Reader<Response> | undefined;
  #version: string | undefined;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #refreshing: Promise<void> | undefined;
  #trouble: string | undefined;

  constructor(options: { file: string; log: Log; clock?: () => number }) {
    this.#file = options.file;
    this.#log = options.log;
    this.#clock = options.clock ?? (() => performance.now());
  }

  /** Reads the file where it has changed. Never rejects. */
  refresh(): Promise<void> {
    this.#lookedAt = this.#clock();
    this.#refreshing ??= this.#read().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  /** At once, of the file as it was last read. */
  readonly locate: Locate = (address) => {
    if (this.#clock() - this.#lookedAt >= lookAgainMs) void this.refresh();
    try {
      return placeOf(this.#reader?.get(address) ?? null);
    } catch {
      // An IPv6 address in a database of IPv4, or a part of the file that is broken.
      return {};
    }
  };

  async #read(): Promise<void> {
    try {
      const { ino, size, mtimeMs } = await stat(this.#file);
      const version = `${ino} ${size} ${mtimeMs}`;
      if (version === this.#version) return;
      // Also where it cannot be read: the same file is not read again and again.
      this.#version = version;
      this.#reader = await readDatabase(this.#file);
      if (this.#trouble !== undefined) this.#log.info({ file: this.#file }, "the GeoIP database can be read again");
      this.#trouble = undefined;
    } catch (error) {
      const trouble = error instanceof Error ? error.message : String(error);
      if (trouble !== this.#trouble)
        this.#log.warn({ file: this.#file, trouble }, "the GeoIP database cannot be read; hooks are told no places");
      this.#trouble = trouble;
    }
  }
}

/** Rejects, in words, where the file is no database. */
export async function geoIpFacts(file: string): Promise<GeoIpFacts> {
  const { metadata } = await readDatabase(file);
  return { type: metadata.databaseType, built: metadata.buildEpoch.toISOString().slice(0, 10) };
}

async function readDatabase(file: string): Promise<Reader<Response>> {
  await using handle = await open(file, "r");
  const found = await handle.stat();
  if (!found.isFile() || found.size > largestBytes) throw new Error(`${file} is not a file of at most 1 GiB`);
  const bytes = await handle.readFile();
  try {
    const reader = new Reader<Response>(bytes);
    reader.get("192.0.2.1");
    return reader;
  } catch {
    throw new Error(`${file} is not a MaxMind DB file, or is only a part of one`);
  }
}

/** MaxMind's records are nested; others' have the same facts side by side (`country_code`). */
function placeOf(record: unknown): Place {
  const country = [
    textAt(record, ["country", "iso_code"]),
    textAt(record, ["country_code"]),
    textAt(record, ["registered_country", "iso_code"]),
  ].find((code) => code !== undefined && /^[A-Z]{2}$/.test(code));
  const at = (name: string) => numberAt(record, ["location", name]) ?? numberAt(record, [name]);
  const [latitude, longitude] = [at("latitude"), at("longitude")];
  return {
    ...(country !== undefined && { country }),
    ...(latitude !== undefined && longitude !== undefined && { uri: `geo:${plain(latitude)},${plain(longitude)}` }),
  };
}

function valueAt(record: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((inner, key) => (inner as Record<string, unknown> | null | undefined)?.[key], record);
}

function textAt(record: unknown, path: readonly string[]): string | undefined {
  const value = valueAt(record, path);
  return typeof value === "string" ? value : undefined;
}

function numberAt(record: unknown, path: readonly string[]): number | undefined {
  const value = valueAt(record, path);
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  return typeof number === "number" && Number.isFinite(number) ? number : undefined;
}

/** RFC 5870 knows no exponents. Six places are a tenth of a metre. */
function plain(degrees: number): string {
  return String(Number(degrees.toFixed(6)));
}
