import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startChild } from "./lab/child.ts";
import { inside } from "./lab/network.ts";
import { type Lab, openLab, until } from "./lab.ts";

// The laboratory itself, tried on a bare openvpn server: when this fails, the other end-to-end tests mean nothing.

/** A server that lets in whoever has the password `right`, and the client config for it. */
async function startBareServer(lab: Lab): Promise<{ pid: number; ovpnText: string }> {
  const at = (name: string) => join(lab.directory, name);
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"];
  const openssl = (...args: string[]) => execFileSync("openssl", args, { stdio: "pipe", cwd: lab.directory });
  openssl("req", "-x509", ...curve, "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.crt");
  openssl("req", ...curve, "-subj", "/CN=server", "-keyout", "server.key", "-out", "server.csr");
  openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-days", "1", "-out", "server.crt");
  await writeFile(at("verify.sh"), '#!/bin/sh\n[ "$(tail -n 1 "$1")" = right ]\n', { mode: 0o755 });
  const server = await startChild(
    inside(lab.network.server, [
      ...["openvpn", "--dev", "tun0", "--server", "10.8.0.0", "255.255.255.0", "--topology", "subnet", "--dh", "none"],
      ...["--ca", at("ca.crt"), "--cert", at("server.crt"), "--key", at("server.key"), "--verify-client-cert", "none"],
      ...["--script-security", "2", "--auth-user-pass-verify", at("verify.sh"), "via-file"],
    ]),
  );
  await until("the server to be up", () => server.output().includes("Initialization Sequence Completed"), {
    otherwise: server.output,
  });
  const ca = execFileSync("cat", [at("ca.crt")], { encoding: "utf8" });
  const ovpnText = `client\nremote ${lab.serverAddress} 1194 udp\nnobind\nauth-user-pass\n<ca>\n${ca}</ca>\n`;
  return { pid: server.pid, ovpnText };
}

test("the lab connects real clients to a real server and takes everything away", async () => {
  const lab = await openLab();
  const { pid, ovpnText } = await startBareServer(lab);

  const inside = await lab.client({ ovpnText, user: "alice", password: "right" });
  const outside = await lab.client({ ovpnText, user: "mallory", password: "wrong" });
  await inside.connected();
  expect(await inside.addresses()).toEqual({ ipv4: "10.8.0.2", ipv6: undefined });
  expect(await inside.ping("10.8.0.1")).toBe(true);
  expect(await inside.ping("10.8.0.77", { count: 1 })).toBe(false);
  expect(await outside.refused()).toBe("");
  await inside.stop();
  expect(inside.running()).toBe(false);

  await lab[Symbol.asyncDispose]();
  expect(existsSync(lab.directory)).toBe(false);
  const [network = ""] = /^.*(?=s$)/.exec(lab.network.server.name) ?? [];
  expect((await readdir("/run/netns")).filter((name) => new RegExp(`^${network}[sc]`).test(name))).toEqual([]);
  await until("the server to be reaped", () => !existsSync(`/proc/${pid}`));
  expect(existsSync(`/proc/${outside.pid}`)).toBe(false);
});

test("the recording hook writes down exactly what it was given", async () => {
  await using lab = await openLab({ hookBody: 'echo "not today"; exit 3' });
  const env = { VPN_EVENT: "C", VPN_USER_ID: "two\nlines = $(no) 'quotes'", PATH: "/usr/bin:/bin" };
  const child = await startChild([lab.hook.path], { env, input: '{"event":"C"}\n' });
  const [call] = await lab.hook.called(() => true);
  await until("the hook to end", () => child.exited());

  expect(call).toEqual({ environment: env, argumentCount: 0, stdin: '{"event":"C"}\n' });
  expect(child.exited()?.status).toBe(3);
  expect(child.output()).toBe("not today\n");
});
