import type { LibraryHandle } from "koffi";

/** Windows' own libraries, and what its last call complained of. Only ever loaded on Windows. */
export type SystemLibraries = {
  koffi: typeof import("koffi")["default"];
  kernel32: LibraryHandle;
  advapi32: LibraryHandle;
  /** Why the call just before failed, e.g. `Access is denied. (5)`; `call` names it. */
  lastError(call: string): WindowsError;
  /** The same, of a call that gives its error as its result. */
  errorOf(call: string, code: number): WindowsError;
};

/** What a call of Windows failed with; `code` as winerror.h numbers it. */
export class WindowsError extends Error {
  readonly code: number;

  constructor(call: string, code: number, words: string) {
    super(`${call}: ${words === "" ? "error" : words} (${code})`);
    this.name = "WindowsError";
    this.code = code;
  }
}

type Call = ReturnType<LibraryHandle["func"]>;

/**
 * Makes a call that may take long on one of Node's four threads for such work, so that this one does not wait for it.
 * Buffers among the arguments stay where they are until it has ended, for which koffi does not care.
 */
export function inBackground(call: Call, ...args: unknown[]): Promise<number> {
  return new Promise((resolve, reject) => {
    call.async(...args, (error: Error | null, result: number) => {
      args.length = 0;
      if (error === null) resolve(result);
      else reject(error);
    });
  });
}

let loaded: Promise<SystemLibraries> | undefined;

/** The same ones each time. */
export function systemLibraries(): Promise<SystemLibraries> {
  loaded ??= load();
  return loaded;
}

/**
 * What opens something of Windows' at the first call, and gives the same at each further one: what is declared of a library
 * stays for the life of the process.
 */
export function openedOnce<Opened>(
  open: (libraries: SystemLibraries) => Opened | Promise<Opened>,
): () => Promise<Opened> {
  let opened: Promise<Opened> | undefined;
  return () => {
    opened ??= systemLibraries().then(open);
    return opened;
  };
}

async function load(): Promise<SystemLibraries> {
  const { default: koffi } = await import("koffi");
  const kernel32 = koffi.load("kernel32.dll");
  const getLastError = kernel32.func("uint32_t __stdcall GetLastError()");
  const formatMessage = kernel32.func(
    "uint32_t __stdcall FormatMessageW(uint32_t flags, void *from, uint32_t code, uint32_t language, _Out_ void *text, uint32_t size, void *more)",
  );
  const wordsFor = (code: number) => {
    const text = Buffer.alloc(1024);
    // FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS | FORMAT_MESSAGE_MAX_WIDTH_MASK
    const length = formatMessage(0x12ff, null, code, 0, text, text.length / 2, null);
    return text.toString("utf16le", 0, length * 2).trim();
  };
  const errorOf = (call: string, code: number) => new WindowsError(call, code, wordsFor(code));
  const lastError = (call: string) => errorOf(call, getLastError());
  return { koffi, kernel32, advapi32: koffi.load("advapi32.dll"), lastError, errorOf };
}
