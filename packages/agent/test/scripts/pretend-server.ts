import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import {
  type AgentConfig,
  type Bundle,
  type BundleRequest,
  type ClientScript,
  newSigningKey,
  type OutputRequest,
  type SigningKey,
  sha256,
  signBundle,
} from "@sallyport/protocol";

/** An agent API that answers as a test says: with right bundles, or as an attacker between would. */
export type PretendServer = AsyncDisposable & {
  config: AgentConfig;
  key: SigningKey;
  /** What it was asked for. */
  requests: BundleRequest[];
  reports: OutputRequest[];
  /** The text of the answer to the next requests; a right bundle of `scripts` unless told. */
  answer: (request: BundleRequest) => string;
  scripts: ClientScript[];
  bundleFor(request: BundleRequest, changes?: Partial<Bundle>): Bundle;
};

export const ticket = "a-ticket-of-some-length_0123456789";

export function script(changes: Partial<ClientScript> = {}): ClientScript {
  const text = changes.text ?? "#!/bin/sh\necho hello\n";
  return {
    ...{ name: "hello.sh", event: "connect", privilege: "user", platform: "linux", environment: {} },
    ...changes,
    ...{ text, sha256: changes.sha256 ?? sha256(text) },
  };
}

export async function pretendServer(directory: string): Promise<PretendServer> {
  const at = (name: string) => join(directory, name);
  const wanted = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"];
  const names = ["-subj", "/CN=pretend", "-addext", "subjectAltName=IP:127.0.0.1"];
  execFileSync("openssl", ["req", "-x509", ...wanted, ...names, "-keyout", at("s.key"), "-out", at("s.crt")], {
    stdio: "pipe",
  });
  const [cert, privateKey] = [readFileSync(at("s.crt"), "utf8"), readFileSync(at("s.key"), "utf8")];
  const key = newSigningKey();
  const requests: BundleRequest[] = [];
  const reports: OutputRequest[] = [];
  const server: PretendServer = {
    config: { url: "", serverId: "server-1", publicKeys: [key.publicKey], address: null, caPem: cert },
    key,
    requests,
    reports,
    scripts: [script()],
    answer: (request) => JSON.stringify(signBundle(server.bundleFor(request), key)),
    bundleFor: (request, changes = {}) => ({
      id: "bundle-1",
      issuedAt: new Date().toISOString(),
      expiresAt: new Date(Date.now() + 60_000).toISOString(),
      serverId: "server-1",
      connectionId: "connection-1",
      ticketSha256: sha256(request.ticket),
      nonce: request.nonce,
      userId: "alice",
      profileId: "office",
      group: "eng",
      platform: "linux",
      scripts: server.scripts,
      stdin: null,
      report: null,
      ...changes,
    }),
    [Symbol.asyncDispose]: () => new Promise((closed) => listening.close(() => closed())),
  };
  const listening = createServer({ cert, key: privateKey }, (request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => {
      body += chunk.toString("utf8");
    });
    request.on("end", () => {
      const asked = JSON.parse(body);
      if (request.url?.endsWith("/output")) {
        reports.push(asked);
        return response.end('{"kept":1}');
      }
      requests.push(asked);
      response.end(server.answer(asked));
    });
  });
  await new Promise<void>((ready) => listening.listen(0, "127.0.0.1", ready));
  server.config = { ...server.config, url: `https://127.0.0.1:${(listening.address() as AddressInfo).port}` };
  return server;
}
