import { join } from "node:path";
import { type Child, startChild } from "../../../server/test/e2e/lab/child.ts";
import { inside } from "../../../server/test/e2e/lab/network.ts";
import { type Lab, until } from "../../../server/test/e2e/lab.ts";

/** A web server beside the daemon, with the lab's directory on it and a certificate of its own (`authority`). */
export async function filesOverHttps(lab: Lab): Promise<{ url: string; authority: string; server: Child }> {
  const [key, authority] = [join(lab.directory, "files.key"), join(lab.directory, "files.crt")];
  const wanted = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"];
  const names = ["-subj", "/CN=files", "-addext", `subjectAltName=IP:${lab.serverAddress}`];
  const made = await startChild(["openssl", ...wanted, ...names, "-keyout", key, "-out", authority]);
  await until("a certificate", () => made.exited() !== undefined, { otherwise: made.output });
  const serve = ["openssl", "s_server", "-accept", "9443", "-WWW", "-key", key, "-cert", authority];
  const server = await startChild(inside(lab.network.server, serve), { cwd: lab.directory });
  await until("the web server", () => server.output().includes("ACCEPT"), { otherwise: server.output });
  return { url: `https://${lab.serverAddress}:9443`, authority, server };
}
