import { systemLibraries } from "./system-libraries.ts";

/** shlobj.h, by the variables that name the same. */
const folders: Readonly<Record<string, number>> = {
  ProgramData: 0x23,
  ALLUSERSPROFILE: 0x23,
  ProgramFiles: 0x26,
  "ProgramFiles(x86)": 0x2a,
  CommonProgramFiles: 0x2b,
  "CommonProgramFiles(x86)": 0x2c,
};
const mostCharacters = 260;

/**
 * Where Windows, its programs and their data are, as variables. Not as the environment has them: every one of them a user
 * may have set anew, also for what they start as an administrator, which would then run their cmd.exe; and services may
 * be given others.
 */
export async function systemFolders(): Promise<Record<string, string>> {
  const { koffi, kernel32, lastError } = await systemLibraries();
  const folderPath = koffi
    .load("shell32.dll")
    .func(
      "int __stdcall SHGetFolderPathW(intptr_t window, int folder, intptr_t token, uint32_t flags, _Out_ void *path)",
    );
  const windowsDirectory = kernel32.func(
    "uint32_t __stdcall GetSystemWindowsDirectoryW(_Out_ void *path, uint32_t size)",
  );
  const path = Buffer.alloc(mostCharacters * 2);
  const text = () => path.toString("utf16le").replace(/\0.*$/s, "");
  if (windowsDirectory(path, mostCharacters) === 0) throw lastError("GetSystemWindowsDirectoryW");
  const root = text();
  const found: Record<string, string> = { SystemRoot: root, windir: root, SystemDrive: root.slice(0, 2) };
  for (const [name, folder] of Object.entries(folders)) {
    const code: number = folderPath(0, folder, 0, 0, path);
    if (code !== 0) throw new Error(`SHGetFolderPathW (${name}): 0x${(code >>> 0).toString(16)}`);
    found[name] = text();
  }
  return { ...found, ProgramW6432: found.ProgramFiles ?? "", CommonProgramW6432: found.CommonProgramFiles ?? "" };
}
