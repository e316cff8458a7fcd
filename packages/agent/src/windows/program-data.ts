import { systemLibraries } from "./system-libraries.ts";

/** shlobj.h */
const CSIDL_COMMON_APPDATA = 0x23;
const mostCharacters = 260;

/**
 * Where all accounts of this machine have their programs' data, usually `C:\ProgramData`. Not as `%ProgramData%` has it:
 * that a user may have set anew, also for what they start as an administrator, and services may be given another.
 */
export async function programData(): Promise<string> {
  const { koffi } = await systemLibraries();
  const folderPath = koffi
    .load("shell32.dll")
    .func(
      "int __stdcall SHGetFolderPathW(intptr_t window, int folder, intptr_t token, uint32_t flags, _Out_ void *path)",
    );
  const path = Buffer.alloc(mostCharacters * 2);
  const code: number = folderPath(0, CSIDL_COMMON_APPDATA, 0, 0, path);
  if (code !== 0) throw new Error(`SHGetFolderPathW: 0x${(code >>> 0).toString(16)}`);
  return path.toString("utf16le").replace(/\0.*$/s, "");
}
