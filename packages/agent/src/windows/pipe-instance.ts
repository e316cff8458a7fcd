import { INVALID_HANDLE_VALUE } from "./handles.ts";
import { openedOnce } from "./system-libraries.ts";

const PIPE_ACCESS_DUPLEX = 3;
const FILE_FLAG_OVERLAPPED = 0x40000000;
const FILE_FLAG_FIRST_PIPE_INSTANCE = 0x80000;
const PIPE_REJECT_REMOTE_CLIENTS = 8;

export const pipeBufferBytes = 64 * 1024;

/** Makes one instance of a pipe, for both directions and one client of this machine. @throws WindowsError */
export type MakePipeInstance = (
  path: string,
  terms: {
    /** Fails where somebody has a pipe of this name. */
    first: boolean;
    most: number;
    /** SECURITY_ATTRIBUTES. */
    attributes: Buffer;
  },
) => number;

export const pipeInstances: () => Promise<MakePipeInstance> = openedOnce(({ kernel32, lastError }) => {
  const create = kernel32.func(
    "intptr_t __stdcall CreateNamedPipeW(str16 name, uint32_t access, uint32_t mode, uint32_t most, uint32_t out, uint32_t in, uint32_t timeout, void *attributes)",
  );
  return (path, { first, most, attributes }) => {
    const access = PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | (first ? FILE_FLAG_FIRST_PIPE_INSTANCE : 0);
    const [mode, bytes] = [PIPE_REJECT_REMOTE_CLIENTS, pipeBufferBytes];
    const handle: number = create(path, access, mode, most, bytes, bytes, 0, attributes);
    if (handle === INVALID_HANDLE_VALUE) throw lastError(`making ${path}`);
    return handle;
  };
});
