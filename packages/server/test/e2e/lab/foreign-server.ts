import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { openAuthority } from "../../../src/client-configs/authority.ts";
import type { Lab } from "../lab.ts";
import { type Child, startChild } from "./child.ts";
import { inside } from "./network.ts";

/** An OpenVPN server that an administrator configured by hand, with certificates of their own. */
export type ForeignServer = {
  configFile: string;
  /** The configuration as it is on disk. */
  text: string;
  child(): Child;
  start(): Promise<void>;
  /** A client config as that administrator would write it; without a certificate where the server wants none. */
  clientConfig(commonName: string | undefined): Promise<string>;
};

/**
 * The server configuration of docs/attach.md, with the paths of a test; `further` lines are added to it. It pings each
 * second, so that a test's clients learn soon that it is gone.
 */
export async function foreignServer(
  lab: Lab,
  options: { management: string; without?: RegExp; further?: readonly string[] },
): Promise<ForeignServer> {
  const home = join(lab.directory, "theirs");
  await mkdir(home, { mode: 0o700 });
  const authority = await openAuthority({ directory: join(home, "pki") });
  const files = await authority.serverFiles("theirs");
  const page = await readFile(new URL("../../../../../docs/attach.md", import.meta.url), "utf8");
  const documented = /^```openvpn\n(.*?)^```/ms.exec(page)?.[1] ?? "";
  const lines = documented
    .replace("/etc/openvpn/server/ca.crt", files.ca)
    .replace("/etc/openvpn/server/server.crt", files.certificate)
    .replace("/etc/openvpn/server/server.key", files.key)
    .replace("keepalive 10 60", "keepalive 1 60")
    .split("\n")
    .map((line) => (/^management /.test(line) ? `management ${options.management}` : line))
    .filter((line) => line !== "" && options.without?.test(line) !== true);
  const text = [...lines, ...(options.further ?? []), ""].join("\n");
  const configFile = join(home, "office.conf");
  await writeFile(configFile, text);
  const socket = options.management.split(" ")[0] ?? "";
  if (socket.startsWith("/")) await mkdir(dirname(socket), { recursive: true, mode: 0o700 });
  let child: Child | undefined;
  return {
    configFile,
    text,
    child: () => {
      if (child === undefined) throw new Error("the server was not started");
      return child;
    },
    start: async () => {
      child = await startChild(inside(lab.network.server, ["openvpn", "--config", configFile, "--verb", "3"]));
    },
    clientConfig: async (commonName) => {
      const device =
        commonName === undefined ? undefined : await authority.newDevice({ commonName, validForMs: 86_400_000 });
      const own =
        device === undefined ? [] : [`<cert>\n${device.certificatePem}</cert>`, `<key>\n${device.keyPem}</key>`];
      return [
        ...["client", "dev tun", "proto udp", `remote ${lab.serverAddress} 1194`, "nobind", "auth-user-pass"],
        ...["remote-cert-tls server", `<ca>\n${authority.caPem}</ca>`, ...own, ""],
      ].join("\n");
    },
  };
}
