import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { answersAfter } from "../../src/connect/answers.ts";
import { loadProfile } from "../../src/profile/load-profile.ts";
import type { Answers } from "../../src/tunnel/tunnel.ts";

const config = "client\nremote vpn.example.org 1194 udp\n<ca>\nabc\n</ca>\n";
let directory: string;
let server: Server;
let address: string;
let asked: string[];
let lines: string[];
/** What came, as `path user:password`, and the answer to it. */
let requests: string[];
let answer: (credentials: string) => [status: number, text: string];

/** As Access Server words its errors. */
const refusal = (message: string) =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<Error>\n<Type>Authorization Required</Type>\n<Synopsis>REST method failed</Synopsis>\n<Message>${message}</Message>\n</Error>\n`;
const credentialsOf = ({ headers }: IncomingMessage) =>
  Buffer.from((headers.authorization ?? "").replace("Basic ", ""), "base64").toString("utf8");

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "agent-download-"));
  const [key, cert] = [join(directory, "s.key"), join(directory, "s.crt")];
  const wanted = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"];
  const names = ["-subj", "/CN=pretend", "-addext", "subjectAltName=IP:127.0.0.1"];
  execFileSync("openssl", ["req", "-x509", ...wanted, ...names, "-keyout", key, "-out", cert], { stdio: "pipe" });
  server = createServer({ key: await readFile(key), cert: await readFile(cert) }, (request, response) => {
    const credentials = credentialsOf(request);
    requests.push(`${request.url} ${credentials}`);
    const [status, text] = answer(credentials);
    response.writeHead(status, { "www-authenticate": 'Basic realm="OpenVPN Access Server"' }).end(text);
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  address = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.close();
  await rm(directory, { recursive: true });
});
beforeEach(() => {
  [asked, lines, requests] = [[], [], []];
  answer = () => [200, config];
});

const person: Answers = {
  mayAskAgain: true,
  user: async () => "alice",
  password: async (prompt) => {
    asked.push(prompt);
    return lines.shift() ?? "";
  },
  answer: async ({ text, echo }) => {
    asked.push(`${text}${echo ? " (shown)" : ""}`);
    return lines.shift() ?? "";
  },
};
const load = (path = "", ca: string | undefined = join(directory, "s.crt")) =>
  loadProfile(address + path, person, ca || undefined);

test("a client config is had from where it lies, and nobody is asked where nobody need be", async () => {
  expect(await load("/configs/office.ovpn")).toMatchObject({ protocol: "openvpn", server: "vpn.example.org" });
  expect([requests, asked]).toEqual([["/configs/office.ovpn "], []]);
});

test("the address of a server stands for where it hands out client configs; its questions are asked", async () => {
  lines = ["pw", "42"];
  answer = (credentials) => {
    if (credentials === "") return [401, refusal("AUTH_FAILED: no credentials (9007)")];
    if (credentials === "alice:pw") return [401, refusal("CRV1:R,E:st-1:YWxpY2U=:What &amp; why?")];
    return credentials === "alice:CRV1::st-1::42" ? [200, config] : [500, ""];
  };
  const { signedIn } = await load();
  expect(asked).toEqual([`Password for alice at ${address.slice(8)}: `, "What & why? (shown)"]);
  expect(new Set(requests.map((one) => one.split(" ")[0]))).toEqual(
    new Set(["/rest/GetUserlogin?tls-cryptv2=1&action=import"]),
  );
  lines = ["another"];
  const answers = answersAfter(person, signedIn);
  expect([await answers.user(), await answers.password("p"), await answers.password("p")]).toEqual([
    ...["alice", "pw", "another"],
  ]);
});

test("as many questions are asked as the server puts", async () => {
  const replies = Array.from({ length: 10 }, (_, at) => `${at}`);
  lines = ["pw", ...replies];
  answer = (credentials) => {
    if (credentials === "") return [401, refusal("AUTH_FAILED: no credentials (9007)")];
    const answered = credentials === "alice:pw" ? 0 : Number(credentials.split("::").at(-1)) + 1;
    return answered < replies.length ? [401, refusal(`CRV1:R,E:st-${answered}:YWxpY2U=:Next?`)] : [200, config];
  };
  expect((await load()).signedIn).toMatchObject({ password: "pw" });
  expect(asked).toHaveLength(1 + replies.length);
});

test("another web server's password is not handed to the VPN", async () => {
  lines = ["pw"];
  answer = (credentials) => (credentials === "" ? [401, ""] : [200, config]);
  expect((await load("/office.ovpn")).signedIn).toBeUndefined();
});

test.each<[string, () => ReturnType<typeof answer>, string, RegExp]>([
  ["wrong-credentials", () => [401, refusal("AUTH_FAILED: wrong (9007)")], "", /user name or the password is wrong/],
  ["refused", () => [401, refusal("enrolment is needed (9008)")], "", /refuses: enrolment is needed/],
  ["unreachable", () => [404, "Not found.\n"], "", /no client config for you at \/rest\/GetUserlogin .*404/],
  ["unreachable", () => [200, "x".repeat(600_000)], "/big.ovpn", /too long/],
  ["faulty-file", () => [200, "<html>hello</html>\n"], "/page.ovpn", /cannot be used/],
])("%s: %s", async (kind, given, path, words) => {
  answer = given;
  await expect(load(path)).rejects.toMatchObject({ kind, message: expect.stringMatching(words) });
});

test("a server of an unknown authority is told nothing, and the person how to make it known", async () => {
  const failure = { kind: "unreachable", next: expect.stringContaining("--ca FILE") };
  await expect(load("", "")).rejects.toMatchObject(failure);
  expect(requests).toEqual([]);
  await writeFile(join(directory, "none.crt"), "nothing");
  await expect(load("", join(directory, "none.crt"))).rejects.toThrow(/holds no certificate/);
});

test("a password in the address, or an address that is not https, is refused", async () => {
  await expect(loadProfile("https://alice:pw@127.0.0.1/", person)).rejects.toThrow(/does not belong into an address/);
  await expect(loadProfile("http://127.0.0.1/a.ovpn", person)).rejects.toThrow(/over https only/);
});
