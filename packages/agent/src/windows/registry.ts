import { openedOnce } from "./system-libraries.ts";

/** Where keys are: of the machine, as 64-bit or as 32-bit programs see it, or of this account. */
export type RegistryView = "machine-64" | "machine-32" | "account";

const KEY_READ = 0x20019;
/** The hive (sign-extended, as Windows has it) and what is added to the rights asked for. */
const views: Record<RegistryView, { hive: bigint; rights: number }> = {
  "machine-64": { hive: -0x7ffffffen, rights: KEY_READ | 0x100 },
  "machine-32": { hive: -0x7ffffffen, rights: KEY_READ | 0x200 },
  account: { hive: -0x7fffffffn, rights: KEY_READ },
};
const mostKeys = 20_000;
const nameUnits = 256;
const valueBytes = 4096;
const [REG_SZ, REG_EXPAND_SZ, REG_DWORD] = [1, 2, 4];
// RRF_RT_ANY, and the text of REG_EXPAND_SZ as it is kept.
const anyKind = 0x1000ffff;

/** Some values of each key directly below one; numbers in decimal. None where there is no such key, or no access. */
export async function readSubkeys(
  view: RegistryView,
  path: string,
  names: readonly string[],
): Promise<ReadonlyMap<string, string>[]> {
  const { openKey, nameAt, getValue, closeKey } = await registryCalls();
  const { hive, rights } = views[view];
  const opened = [0];
  if (openKey(hive, path, 0, rights, opened) !== 0) return [];
  const key = opened[0] ?? 0;
  try {
    const found: ReadonlyMap<string, string>[] = [];
    for (let index = 0; index < mostKeys; index++) {
      const [name, units] = [Buffer.alloc(nameUnits * 2), [nameUnits]];
      if (nameAt(key, index, name, units, null, null, null, null) !== 0) break;
      const subkey = name.toString("utf16le", 0, (units[0] ?? 0) * 2);
      const values = new Map<string, string>();
      for (const one of names) {
        const [type, data, bytes] = [[0], Buffer.alloc(valueBytes), [valueBytes]];
        if (getValue(key, subkey, one, anyKind, type, data, bytes) !== 0) continue;
        const value = textOf(type[0], data.subarray(0, bytes[0]));
        if (value !== undefined) values.set(one, value);
      }
      found.push(values);
    }
    return found;
  } finally {
    closeKey(key);
  }
}

const registryCalls = openedOnce(({ advapi32 }) => ({
  openKey: advapi32.func(
    "int32_t __stdcall RegOpenKeyExW(intptr_t key, str16 path, uint32_t options, uint32_t rights, _Out_ intptr_t *opened)",
  ),
  nameAt: advapi32.func(
    "int32_t __stdcall RegEnumKeyExW(intptr_t key, uint32_t index, _Out_ void *name, _Inout_ uint32_t *units, void *reserved, void *kind, void *kindUnits, void *written)",
  ),
  getValue: advapi32.func(
    "int32_t __stdcall RegGetValueW(intptr_t key, str16 path, str16 name, uint32_t flags, _Out_ uint32_t *type, _Out_ void *data, _Inout_ uint32_t *bytes)",
  ),
  closeKey: advapi32.func("int32_t __stdcall RegCloseKey(intptr_t key)"),
}));

function textOf(type: number | undefined, data: Buffer): string | undefined {
  if (type === REG_DWORD) return `${data.readUInt32LE(0)}`;
  if (type === REG_SZ || type === REG_EXPAND_SZ) return data.toString("utf16le").replace(/\0.*$/s, "");
  return undefined;
}
