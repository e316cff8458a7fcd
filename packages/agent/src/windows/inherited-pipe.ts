import { randomBytes } from "node:crypto";
import { closeSync } from "node:fs";
import { Socket } from "node:net";
import { windowsAccounts } from "./accounts.ts";
import { handleCalls, INVALID_HANDLE_VALUE, OPEN_EXISTING } from "./handles.ts";
import { pipeInstances } from "./pipe-instance.ts";
import { windowsSecurity } from "./security.ts";
import { systemLibraries } from "./system-libraries.ts";

/** Our end of a pipe, and the handle of the other, which a process can inherit; whoever asked for it closes both. */
export type InheritedPipe = { socket: Socket; theirs: number };

// What libuv gives, which Node asks for.
const rightsTo = {
  // GENERIC_READ | FILE_WRITE_ATTRIBUTES
  read: 0x80000100,
  // GENERIC_WRITE | FILE_READ_ATTRIBUTES
  write: 0x40000080,
} as const;

/**
 * What makes pipes of which the one other end, to read from or to write to, is in our hands before anybody learns their
 * names. @throws WindowsError
 */
export async function inheritedPipes(): Promise<(theirs: keyof typeof rightsTo) => InheritedPipe> {
  const { lastError } = await systemLibraries();
  const handles = await handleCalls();
  const makeInstance = await pipeInstances();
  const { withAttributes } = await windowsSecurity();
  const sddl = `D:P(A;;GA;;;${(await windowsAccounts()).own().sid})`;
  return (direction) => {
    const name = `\\\\.\\pipe\\sallyport-agent-script-${randomBytes(16).toString("hex")}`;
    return withAttributes(sddl, (attributes) => {
      const ours = makeInstance(name, { first: true, most: 1, attributes });
      // To be inherited.
      attributes.writeInt32LE(1, 16);
      const theirs: number = handles.createFile(name, rightsTo[direction], 0, attributes, OPEN_EXISTING, 0, 0);
      if (theirs === INVALID_HANDLE_VALUE) {
        const error = lastError("CreateFileW");
        handles.close(ours);
        throw error;
      }
      const fd: number = handles.descriptorOf(ours);
      try {
        return { socket: new Socket({ fd, readable: true, writable: true }), theirs };
      } catch {
        handles.close(theirs);
        if (fd === -1) handles.close(ours);
        else closeSync(fd);
        throw new Error("a pipe to a script cannot be used");
      }
    });
  };
}
