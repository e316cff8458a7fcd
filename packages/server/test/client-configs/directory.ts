import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach } from "vitest";

const made: string[] = [];

afterEach(async () => {
  for (const directory of made.splice(0)) await rm(directory, { recursive: true, force: true });
});

export async function newDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "sallyport-pki-"));
  made.push(directory);
  return directory;
}

/** Runs openssl and gives its exit status and everything it printed. */
export function openssl(...args: string[]): Promise<{ status: number; output: string }> {
  return new Promise((resolve) => {
    execFile("openssl", args, (error, stdout, stderr) => {
      resolve({ status: error ? Number(error.code ?? 1) : 0, output: stdout + stderr });
    });
  });
}

/** What stands between `<tag>` and `</tag>` of a client config. */
export function inlineOf(text: string, tag: string): string {
  const found = new RegExp(`<${tag}>\n([\\s\\S]*?)\n</${tag}>`).exec(text)?.[1];
  if (found === undefined) throw new Error(`there is no <${tag}> in it`);
  return `${found}\n`;
}
