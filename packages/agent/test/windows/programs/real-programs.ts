/**
 * Runs on this machine, in a client's network, and does for the stand-ins (stand-in.cjs) of one Windows what they are asked
 * to: starts the real openvpn, or has the real WireGuard do what wireguard.exe and wg.exe would.
 * `real-programs.ts DRIVE OPENVPN DIRECTORY`: where `C:` is, which openvpn, and a directory for files.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";

const [drive = "", openvpn = "", directory = ""] = process.argv.slice(2);
const execute = promisify(execFile);
const environment = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", WG_QUICK_USERSPACE_IMPLEMENTATION: "wireguard-go" };
const interfaces = new Set<string>();
let started = 0;

const server = createServer((socket) => {
  let request = "";
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk) => {
    request += chunk;
    if (!request.endsWith("\n")) return;
    const { program, args } = JSON.parse(request) as { program: string; args: string[] };
    const say = (message: object) => void (socket.destroyed || socket.write(`${JSON.stringify(message)}\n`));
    void answer(program, args, socket, say)
      .catch((error: Error & { code?: number; stderr?: string }) => {
        say({ error: error.stderr ?? `${error.message}\n` });
        return typeof error.code === "number" ? error.code : 1;
      })
      .then((status) => {
        say({ status });
        socket.end();
      });
  });
});

async function answer(
  program: string,
  args: readonly string[],
  socket: Socket,
  say: (message: object) => void,
): Promise<number> {
  const [first = "", second = ""] = args;
  if (program === "openvpn.exe" && first === "--config") return await runOpenVpn(second, socket, say);
  if (program === "wg.exe") {
    say({ out: (await execute("wg", args, { env: environment })).stdout });
    return 0;
  }
  if (program === "wireguard.exe" && first === "/installtunnelservice") {
    const path = here(second);
    const name = /([^\\]+)\.conf$/.exec(second)?.[1] ?? "";
    await readFile(path);
    interfaces.add(name);
    // The service's manager answers before the service has read its file.
    setTimeout(() => {
      void execute("wg-quick", ["up", path], { env: environment }).catch((error) => process.stdout.write(`${error}\n`));
    }, 100);
    return 0;
  }
  if (program === "wireguard.exe" && first === "/uninstalltunnelservice") {
    await execute("ip", ["link", "delete", second], { env: environment });
    interfaces.delete(second);
    return 0;
  }
  throw new Error(`no program stands in for ${[program, ...args].join(" ")}`);
}

async function runOpenVpn(config: string, socket: Socket, say: (message: object) => void): Promise<number> {
  started += 1;
  const path = join(directory, `openvpn-${started}`);
  let port = "";
  const text = (await readFile(here(config), "utf8")).replace(
    /^management (\S+) (\S+) "(.*)"$/m,
    (_line, at: string, to: string, file: string) => {
      port = to;
      return `management ${at} ${to} ${here(file.replaceAll("\\\\", "\\"))}`;
    },
  );
  await writeFile(path, text, { mode: 0o600 });
  // The first one finds that somebody was quicker to take the port.
  const other = started === 1 ? createServer().listen(Number(port), "127.0.0.1") : undefined;
  const child: ChildProcess = spawn("setpriv", ["--pdeathsig", "KILL", openvpn, "--config", path], {
    env: environment,
    stdio: ["ignore", "pipe", "pipe"],
  });
  child.stdout?.setEncoding("utf8").on("data", (out: string) => say({ out }));
  child.stderr?.setEncoding("utf8").on("data", (error: string) => say({ error }));
  // Whoever ends a program of Windows does not tell it.
  socket.on("close", () => child.kill("SIGKILL"));
  const status = await new Promise<number | null>((resolve) => child.once("close", resolve));
  other?.close();
  await rm(path, { force: true });
  return status ?? 1;
}

/** What Windows calls a path, as it is here. */
function here(path: string): string {
  const root = path.toUpperCase().startsWith("C:") ? drive : "";
  return root + path.slice(2).replaceAll("\\", "/");
}

server.listen(0, "127.0.0.1", async () => {
  const address = server.address();
  await writeFile(join(drive, "real-programs-port"), `${typeof address === "object" ? address?.port : ""}`);
  process.stdout.write("listening\n");
});

process.once("SIGTERM", async () => {
  for (const name of interfaces) await execute("ip", ["link", "delete", name]).catch(() => undefined);
  process.exit();
});
