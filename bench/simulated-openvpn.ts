/*
 * Stands in for openvpn where thousands of clients are wanted: has the tun device that its configuration names, speaks
 * the management protocol, and has as many clients as `sessions.json` beside itself says, who come when it is released.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { dirname, join } from "node:path";

const wanted = JSON.parse(readFileSync(join(dirname(process.argv[1] ?? ""), "sessions.json"), "utf8")) as {
  sessions: number;
  atOnce: number;
  serial: string;
  commonName: string;
};
const config = readFileSync(process.argv[process.argv.indexOf("--config") + 1] ?? "", "utf8");
const option = (name: string) => new RegExp(`^${name} (\\S+)(?: (\\S+))?`, "m").exec(config) ?? ["", "", ""];
const device = option("dev")[1] ?? "";
for (const words of [
  `tuntap add dev ${device} mode tun`,
  `address add ${option("ifconfig")[1]}/16 dev ${device}`,
  `link set ${device} up`,
]) {
  try {
    execFileSync("ip", words.split(" "), { stdio: "ignore" });
  } catch {
    // Such a device outlives the program: it is there from the last time.
  }
}

/** Address by number, of those that are up. */
const up = new Map<number, string>();
let asked = 0;
let released = false;
let socket: Socket | undefined;
let poll: NodeJS.Timeout | undefined;
const say = (...lines: string[]) => void socket?.write(lines.map((line) => `${line}\r\n`).join(""));

function event(first: string, variables: Record<string, string | number>): string[] {
  const lines = Object.entries(variables).map(([name, value]) => `>CLIENT:ENV,${name}=${value}`);
  return [`>CLIENT:${first}`, ...lines, ">CLIENT:ENV,END"];
}

const sourceOf = (cid: number) => ({ ip: `192.0.2.${cid % 250}`, port: 1_024 + cid });

function askMore(): void {
  while (released && asked < wanted.sessions && asked - up.size < wanted.atOnce) {
    const cid = asked++;
    const { ip, port } = sourceOf(cid);
    const place = { untrusted_ip: ip, untrusted_port: port };
    const device = { common_name: wanted.commonName, X509_0_CN: wanted.commonName, tls_serial_0: wanted.serial };
    const told = { username: `user-${cid}`, password: "not asked for", IV_PROTO: 990, IV_PLAT: "linux" };
    say(...event(`CONNECT,${cid},1`, { ...place, ...device, ...told }));
  }
}

function admitted([first = "", ...lines]: readonly string[]): void {
  const cid = Number(first.split(" ")[1]);
  const address = lines.map((line) => /^ifconfig-push (\S+)/.exec(line)?.[1]).find(Boolean) ?? "";
  up.set(cid, address);
  say("SUCCESS: client-auth command succeeded", ...event(`ESTABLISHED,${cid}`, { ifconfig_pool_remote_ip: address }));
  askMore();
}

const header =
  "HEADER\tCLIENT_LIST\tCommon Name\tReal Address\tVirtual Address\tVirtual IPv6 Address\tBytes Received\tBytes Sent\tUsername\tClient ID";

function replyTo(command: string): string[] {
  const [word = "", argument] = command.split(" ");
  if (word === "pid") return [`SUCCESS: pid=${process.pid}`];
  if (word === "version") return ["OpenVPN Version: OpenVPN 2.6.14 simulated", "END"];
  if (word === "state" && argument === undefined) return ["1795299833,CONNECTED,SUCCESS,10.42.0.1,,,,,", "END"];
  if (word !== "status") return [`SUCCESS: ${word} command succeeded`];
  const list = [...up].map(([cid, address]) => {
    const { ip, port } = sourceOf(cid);
    const fields = ["CLIENT_LIST", wanted.commonName, `${ip}:${port}`, address, "", 1, 1, `user-${cid}`, cid];
    return fields.join("\t");
  });
  return ["TITLE\tOpenVPN", header, ...list, "END"];
}

function obey(command: string): void {
  say(...replyTo(command));
  if (command.startsWith("bytecount ")) {
    clearInterval(poll);
    const count = (cid: number) => `>BYTECOUNT_CLI:${cid},${Date.now() % 1e9},${Date.now() % 1e8}`;
    poll = setInterval(() => say(...[...up.keys()].map(count)), Number(command.split(" ")[1]) * 1_000);
  }
  if (command === "hold release") {
    released = true;
    askMore();
  }
}

const management = option("management")[1] ?? "";
rmSync(management, { force: true });
createServer((connected) => {
  socket = connected;
  let rest = "";
  let block: string[] | undefined;
  connected.on("error", () => undefined);
  connected.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line.startsWith("client-auth ")) block = [line];
      else if (block === undefined) obey(line);
      else if (line !== "END") block.push(line);
      else {
        admitted(block);
        block = undefined;
      }
    }
  });
  say(">INFO:OpenVPN Management Interface Version 5 -- type 'help' for more info");
}).listen(management);
