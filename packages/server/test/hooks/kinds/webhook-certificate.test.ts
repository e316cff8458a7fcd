import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type IncomingMessage } from "node:http";
import { type AddressInfo, connect as connectTo, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openReceiver, type Receiver } from "./receiver.ts";
import { event, hookTo, options } from "./webhook-under-test.ts";

const run = promisify(execFile);

describe("the certificate of a webhook", () => {
  let directory: string;
  let secure: Receiver;
  let authority: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "webhook-test-"));
    const in_ = (name: string) => join(directory, name);
    const subject = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    await run("openssl", [
      "req",
      "-x509",
      ...subject,
      "-keyout",
      in_("ca.key"),
      "-out",
      in_("ca.crt"),
      "-subj",
      "/CN=Our CA",
    ]);
    await run("openssl", [
      ...["req", "-x509", ...subject, "-keyout", in_("key"), "-out", in_("crt"), "-subj", "/CN=localhost"],
      ...["-CA", in_("ca.crt"), "-CAkey", in_("ca.key"), "-addext", "subjectAltName=DNS:localhost"],
    ]);
    const [key, cert, ca] = await Promise.all(["key", "crt", "ca.crt"].map((name) => readFile(in_(name), "utf8")));
    authority = ca ?? "";
    secure = await openReceiver({ tls: { key: key ?? "", cert: cert ?? "" } });
  });
  afterEach(async () => {
    await secure.close();
    await rm(directory, { recursive: true });
  });

  it("must be vouched for by the authority that is configured, or one this machine trusts", async () => {
    expect(await hookTo(secure.url, { authorities: authority }).tell(event, options)).toMatchObject({ answer: "yes" });
    expect(await hookTo(secure.url).tell(event, options)).toMatchObject({
      answer: "failed",
      failure: "unreachable",
      error: expect.stringMatching(/its certificate is not trusted .*caFile/),
    });
    expect(secure.received).toHaveLength(1);
  });

  it("must be the named host's", async () => {
    const byAddress = secure.url.replace("localhost", "127.0.0.1");
    expect(await hookTo(byAddress, { authorities: authority }).tell(event, options)).toMatchObject({
      answer: "failed",
      error: expect.stringContaining("its certificate is not trusted"),
    });
    expect(secure.received).toEqual([]);
  });

  it("is checked through a proxy too, which sees nothing but where the connection goes", async () => {
    const asked: string[] = [];
    const proxy = createServer().on("connect", (request: IncomingMessage, client: Socket) => {
      asked.push(request.url ?? "");
      const [host, port] = (request.url ?? "").split(":");
      const onward = connectTo(Number(port), host === "localhost" ? "127.0.0.1" : host, () => {
        client.write("HTTP/1.1 200 Connection established\r\n\r\n");
        onward.pipe(client).pipe(onward);
      });
      for (const socket of [client, onward]) socket.on("error", () => {});
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    const through = { proxy: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}` };
    const trusting = await hookTo(secure.url, { ...through, authorities: authority }).tell(event, options);
    expect(trusting).toMatchObject({ answer: "yes" });
    expect(await hookTo(secure.url, through).tell(event, options)).toMatchObject({
      answer: "failed",
      error: expect.stringContaining("its certificate is not trusted"),
    });
    expect(new Set(asked)).toEqual(new Set([new URL(secure.url).host]));
    proxy.close();
    proxy.closeAllConnections();
  });
});
