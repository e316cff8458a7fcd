import { openedOnce } from "./system-libraries.ts";

/** What CreateFileW and CreateNamedPipeW give where they fail; other calls give 0. */
export const INVALID_HANDLE_VALUE = -1;
export const OPEN_EXISTING = 3;

/** Calls about handles that several files make, each as Windows' own documentation has it. */
export const handleCalls = openedOnce(({ koffi, kernel32 }) => {
  // libuv's own, which Node's executable has for its modules.
  const node = koffi.load(process.execPath);
  return {
    createFile: kernel32.func(
      "intptr_t __stdcall CreateFileW(str16 name, uint32_t access, uint32_t share, void *attributes, uint32_t disposition, uint32_t flags, intptr_t template)",
    ),
    openProcess: kernel32.func("intptr_t __stdcall OpenProcess(uint32_t access, int inherit, uint32_t pid)"),
    wait: kernel32.func("uint32_t __stdcall WaitForSingleObject(intptr_t handle, uint32_t milliseconds)"),
    close: kernel32.func("int __stdcall CloseHandle(intptr_t handle)"),
    /** The handle is the descriptor's from then on: closing that closes it. -1 where it has none. */
    descriptorOf: node.func("int uv_open_osfhandle(intptr_t handle)"),
    /** Stays the descriptor's. */
    handleOf: node.func("intptr_t uv_get_osfhandle(int fd)"),
  };
});
