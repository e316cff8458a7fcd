import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFile, link, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { type Child, startChild } from "../../../server/test/e2e/lab/child.ts";
import { inside, type Place } from "../../../server/test/e2e/lab/network.ts";
import { until } from "../../../server/test/waiting.ts";
import { openVpnOn } from "../e2e/openvpn-on.ts";
import { onDriveZ, type Wine } from "./wine.ts";

const programs = join(import.meta.dirname, "programs");
const parts = resolve(import.meta.dirname, "../../../../.build/windows");
const places = ["OpenVPN/bin/openvpn.exe", "WireGuard/wireguard.exe", "WireGuard/wg.exe"];

/**
 * Puts programs of Windows where OpenVPN's and WireGuard's installers put theirs. What they are asked to do, the real
 * openvpn and WireGuard of this machine do in the client's network, which is where this Windows' sockets are too.
 */
export async function installStandIns(wine: Wine, place: Place, directory: string): Promise<Child> {
  const program = await standIn(wine);
  for (const path of places.map((one) => join(wine.drive, "Program Files", one))) {
    await mkdir(dirname(path), { recursive: true });
    await link(program, path).catch(() => copyFile(program, path));
  }
  const openvpn = await openVpnOn("win", directory);
  const words = [process.execPath, join(programs, "real-programs.ts"), wine.drive, openvpn, directory];
  const child = await startChild(inside(place, words));
  await until("the programs that are asked", () => child.output().includes("listening"), { otherwise: child.output });
  return child;
}

/** A Node for Windows with the stand-in inside of it: made once, as it takes its time. */
async function standIn(wine: Wine): Promise<string> {
  const source = join(programs, "stand-in.cjs");
  const made = join(
    parts,
    `stand-in-${createHash("sha256")
      .update(await readFile(source))
      .digest("hex")}.exe`,
  );
  if (await stat(made).catch(() => undefined)) return made;
  // Not a name that install-windows-parts sweeps away.
  const work = await mkdtemp(join(parts, "stand-in-"));
  try {
    const unfinished = join(work, "stand-in.exe");
    const config = {
      main: onDriveZ(source),
      output: onDriveZ(join(work, "blob")),
      disableExperimentalSEAWarning: true,
    };
    await writeFile(join(work, "sea.json"), JSON.stringify(config));
    const blob = await wine.run(wine.node, ["--experimental-sea-config", onDriveZ(join(work, "sea.json"))]);
    if (blob.status !== 0) throw new Error(blob.said);
    await copyFile(wine.node.slice(2).replaceAll("\\", "/"), unfinished);
    const postject = createRequire(import.meta.url).resolve("postject/dist/cli.js");
    const fuse = ["--sentinel-fuse", "NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2"];
    const words = [postject, unfinished, "NODE_SEA_BLOB", join(work, "blob"), ...fuse];
    await promisify(execFile)(process.execPath, words, { maxBuffer: 64 * 1024 * 1024 });
    await rename(unfinished, made);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return made;
}
