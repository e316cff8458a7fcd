import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Wine } from "./wine.ts";

/** Tables of an installer that installs no file, and enters a program into the list of what is installed. */
const tables: Record<string, string[]> = {
  _SummaryInformation: [
    "PropertyId\tValue",
    "i2\tl255",
    "_SummaryInformation\tPropertyId",
    "1\t1252",
    "2\tInstallation Database",
    "7\tx64;1033",
    "9\t{F1C3AF50-8B56-4A69-A00C-00773FE42F30}",
    "14\t200",
    "15\t2",
  ],
  Property: [
    "Property\tValue",
    "s72\tl0",
    "Property\tProperty",
    "ProductCode\t{7DF88A49-996F-4EC8-A022-BF956F9B2CBB}",
    "ProductName\tVPN Tool",
    "ProductVersion\t2.5.1",
    "Manufacturer\tSallyport",
    "ProductLanguage\t1033",
  ],
  Directory: [
    "Directory\tDirectory_Parent\tDefaultDir",
    "s72\tS72\tl255",
    "Directory\tDirectory",
    "TARGETDIR\t\tSourceDir",
  ],
  Component: [
    "Component\tComponentId\tDirectory_\tAttributes\tCondition\tKeyPath",
    "s72\tS38\ts72\ti2\tS255\tS72",
    "Component\tComponent",
    "one\t{CD5E2F23-5C5F-4B0B-8C5B-2C1F2E5C6B8A}\tTARGETDIR\t0\t\t",
  ],
  Feature: [
    "Feature\tFeature_Parent\tTitle\tDescription\tDisplay\tLevel\tDirectory_\tAttributes",
    "s38\tS38\tL64\tL255\tI2\ti2\tS72\ti2",
    "Feature\tFeature",
    "all\t\t\t\t2\t1\tTARGETDIR\t0",
  ],
  FeatureComponents: ["Feature_\tComponent_", "s38\ts72", "FeatureComponents\tFeature_\tComponent_", "all\tone"],
  Media: [
    "DiskId\tLastSequence\tDiskPrompt\tCabinet\tVolumeLabel\tSource",
    "i2\ti4\tL64\tS255\tS32\tS72",
    "Media\tDiskId",
  ],
  File: [
    "File\tComponent_\tFileName\tFileSize\tVersion\tLanguage\tAttributes\tSequence",
    "s72\ts72\tl255\ti4\tS72\tS20\tI2\ti4",
    "File\tFile",
  ],
  InstallExecuteSequence: [
    "Action\tCondition\tSequence",
    "s72\tS255\tI2",
    "InstallExecuteSequence\tAction",
    "CostInitialize\t\t800",
    "FileCost\t\t900",
    "CostFinalize\t\t1000",
    "InstallValidate\t\t1400",
    "InstallInitialize\t\t1500",
    "ProcessComponents\t\t1600",
    "RegisterProduct\t\t6100",
    "PublishProduct\t\t6400",
    "InstallFinalize\t\t6600",
  ],
};

/** An installer for msiexec: "VPN Tool", version 2.5.1. */
export async function makeInstaller(wine: Wine): Promise<Buffer> {
  const directory = await mkdtemp(join(wine.drive, "installer-"));
  for (const [name, rows] of Object.entries(tables))
    await writeFile(join(directory, `${name}.idt`), rows.map((row) => `${row}\r\n`).join(""));
  const files = Object.keys(tables).map((name) => `${name}.idt`);
  const { status, said } = await wine.run("winemsibuilder.exe", ["-i", "tool.msi", ...files], { cwd: directory });
  if (status !== 0) throw new Error(`winemsibuilder: ${said}`);
  const installer = await readFile(join(directory, "tool.msi"));
  await rm(directory, { recursive: true });
  return installer;
}
