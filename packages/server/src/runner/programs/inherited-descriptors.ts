import { closeSync, readdirSync, readFileSync } from "node:fs";

const closeOnExec = 0o2000000;

/**
 * Closes what this process got open from whoever started it, beyond standard input and output: Node's own files are
 * never handed on, but these would be, to every program and daemon. Called once, at the very start.
 */
export function closeInheritedDescriptors(): number {
  let closed = 0;
  for (const name of readdirSync("/proc/self/fd")) {
    const fd = Number(name);
    if (fd <= 2) continue;
    try {
      const flags = /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1];
      if (flags === undefined || (Number.parseInt(flags, 8) & closeOnExec) !== 0) continue;
      closeSync(fd);
      closed += 1;
    } catch {
      // The descriptor of the listing itself is closed by now.
    }
  }
  return closed;
}
