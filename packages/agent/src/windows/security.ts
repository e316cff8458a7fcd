import { handleCalls, INVALID_HANDLE_VALUE, OPEN_EXISTING } from "./handles.ts";
import { openedOnce, type SystemLibraries } from "./system-libraries.ts";

/** What Windows keeps of who may do what, as text (SDDL: owner and DACL). */
export type Security = {
  /** Of an open file, by its descriptor. @throws WindowsError */
  ofFile(fd: number): string;
  /** Of what lies at a path; of a link itself, not of what it leads to. @throws WindowsError */
  at(path: string): string;
  /** Whose something else is that is open, say a pipe: SDDL with the owner alone. @throws WindowsError */
  ownerOf(handle: number): string;
  /** Makes a directory that has these rights from the beginning; false where something is there. @throws WindowsError */
  makeDirectory(path: string, sddl: string): boolean;
  /** Hands SECURITY_ATTRIBUTES to what makes something. @throws WindowsError */
  withAttributes<Result>(sddl: string, make: (attributes: Buffer) => Result): Result;
};

const READ_CONTROL = 0x20000;
// FILE_FLAG_BACKUP_SEMANTICS, without which no directory is opened, and FILE_FLAG_OPEN_REPARSE_POINT.
const asItLies = 0x02200000;
const everybodyMayShare = 7;
const seFileObject = 1;
const seKernelObject = 6;
const ownerInformation = 1;
const daclInformation = 4;
const sddlRevision = 1;
const ERROR_ALREADY_EXISTS = 183;

export const windowsSecurity = openedOnce(open);

async function open({ koffi, kernel32, advapi32, lastError, errorOf }: SystemLibraries): Promise<Security> {
  const handles = await handleCalls();
  const localFree = kernel32.func("void * __stdcall LocalFree(void *memory)");
  const createDirectory = kernel32.func("int __stdcall CreateDirectoryW(str16 path, void *attributes)");
  const getSecurity = advapi32.func(
    "uint32_t __stdcall GetSecurityInfo(intptr_t handle, int type, uint32_t what, void *owner, void *group, void *dacl, void *sacl, _Out_ void **descriptor)",
  );
  const toText = advapi32.func(
    "int __stdcall ConvertSecurityDescriptorToStringSecurityDescriptorW(void *descriptor, uint32_t revision, uint32_t what, _Out_ void **text, _Out_ uint32_t *length)",
  );
  const fromText = advapi32.func(
    "int __stdcall ConvertStringSecurityDescriptorToSecurityDescriptorW(str16 text, uint32_t revision, _Out_ void **descriptor, void *size)",
  );

  const textOf = (handle: number, type: number, what: number): string => {
    const descriptor: unknown[] = [null];
    const code: number = getSecurity(handle, type, what, null, null, null, null, descriptor);
    if (code !== 0) throw errorOf("GetSecurityInfo", code);
    const text: unknown[] = [null];
    const length = [0];
    try {
      if (toText(descriptor[0], sddlRevision, what, text, length) === 0)
        throw lastError("a security descriptor's text");
      // With the 0 at its end.
      return koffi.decode(text[0], "char16_t", length[0] ?? 0).replace(/\0+$/, "");
    } finally {
      localFree(text[0]);
      localFree(descriptor[0]);
    }
  };
  const withAttributes: Security["withAttributes"] = (sddl, make) => {
    const descriptor: unknown[] = [null];
    if (fromText(sddl, sddlRevision, descriptor, null) === 0) throw lastError("a security descriptor of text");
    const attributes = Buffer.alloc(24);
    attributes.writeUInt32LE(attributes.length, 0);
    attributes.writeBigUInt64LE(koffi.address(descriptor[0]), 8);
    try {
      return make(attributes);
    } finally {
      localFree(descriptor[0]);
    }
  };
  return {
    ofFile: (fd) => textOf(handles.handleOf(fd), seFileObject, ownerInformation | daclInformation),
    at: (path) => {
      const handle: number = handles.createFile(
        path,
        READ_CONTROL,
        everybodyMayShare,
        null,
        OPEN_EXISTING,
        asItLies,
        0,
      );
      if (handle === INVALID_HANDLE_VALUE) throw lastError(path);
      try {
        return textOf(handle, seFileObject, ownerInformation | daclInformation);
      } finally {
        handles.close(handle);
      }
    },
    ownerOf: (handle) => textOf(handle, seKernelObject, ownerInformation),
    makeDirectory: (path, sddl) =>
      withAttributes(sddl, (attributes) => {
        if (createDirectory(path, attributes) !== 0) return true;
        const error = lastError(`making ${path}`);
        if (error.code === ERROR_ALREADY_EXISTS) return false;
        throw error;
      }),
    withAttributes,
  };
}
