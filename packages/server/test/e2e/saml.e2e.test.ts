import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type IdentityProvider, identityProvider, type Posted, type SamlUser } from "../auth/methods/saml-idp.ts";
import type { ConnectionRow } from "./lab/ledger.ts";
import { inside } from "./lab/network.ts";
import { type Client, type Lab, openLab } from "./lab.ts";

const execute = promisify(execFile);
let lab: Lab;
let idp: IdentityProvider;

beforeAll(async () => {
  idp = await identityProvider();
  lab = await openLab({ config: { http: { listen: "0.0.0.0:8443", publicUrl: "https://198.18.0.1:8443" } } });
  await lab.daemon.start();
  const settings = {
    "auth.module.type": "saml",
    "auth.saml.0.idp_entityid": idp.entityId,
    "auth.saml.0.idp_signon_endpoint": idp.signOnUrl,
  };
  for (const [key, value] of Object.entries(settings)) await lab.succeed(["config", "set", key, value]);
  const certificate = join(lab.directory, "idp.crt");
  await writeFile(certificate, idp.certificatePem);
  await lab.succeed(["sacli", "--key", "auth.saml.0.idp_cert", "--value_file", certificate, "ConfigPut"]);
});

afterAll(() => lab?.[Symbol.asyncDispose]());

/** A client that says it can open a browser; nobody types a password that would mean anything. */
const connecting = async (user: string, ovpnText: string, abilities = "webauth") =>
  await lab.client({ ovpnText, user, password: "not looked at", extra: ["--setenv", "IV_SSO", abilities] });

/** The page that the client would open. */
const pageOf = async (client: Client) => (await client.sees(/WEB_AUTH::(https:[^'\s]+)/))[1] ?? "";

/** A browser on the client's machine, which trusts our authority. */
async function browser(client: Client, ...options: string[]): Promise<{ status: number; text: string; to: string }> {
  const authority = join(lab.dataDirectory, "pki", "authority", "ca.crt");
  const format = "\n%{http_code} %{redirect_url}";
  const words = ["curl", "--silent", "--show-error", "--max-time", "20", "--cacert", authority, "-w", format];
  const [program = "", ...args] = inside(client.place, [...words, ...options]);
  const { stdout } = await execute(program, args);
  const [, text = "", status = "", to = ""] = /^([\s\S]*)\n(\d+) (.*)$/.exec(stdout) ?? [];
  return { status: Number(status), text, to };
}

const signIn = async (client: Client, page: string, user: SamlUser) =>
  await idp.signIn((await browser(client, page)).to, user);

const post = async (client: Client, { SAMLResponse, RelayState }: Posted) =>
  await browser(
    client,
    ...["--data-urlencode", `SAMLResponse=${SAMLResponse}`, "--data-urlencode", `RelayState=${RelayState}`],
    "https://198.18.0.1:8443/saml/acs",
  );

describe("a VPN client whose user signs in with a browser", () => {
  test("is let in when the identity provider vouched for its user, and scripts read the attributes", async () => {
    const script = join(lab.directory, "groups.py");
    await writeFile(
      script,
      `
from pyovpn.plugin import *

def post_auth(authcred, attributes, authret, info):
    if info.get("auth_method") == "saml" and "staff" in info["saml_attr"].get("groups", []):
        authret["proplist"]["conn_group"] = "staff"
    return authret
`,
    );
    await lab.succeed(["group", "add", "staff"]);
    await lab.succeed(["post-auth", "add", "groups", script]);
    await lab.succeed(["post-auth", "activate", "groups"]);
    const client = await connecting("alice", await lab.issue("alice"));
    const page = await pageOf(client);
    expect(page).toMatch(/^https:\/\/198\.18\.0\.1:8443\/saml\/login\/[\w-]{32}$/);
    const posted = await signIn(client, page, { name: "alice", attributes: { groups: ["staff", "all"] } });
    expect(await post(client, posted)).toMatchObject({ status: 200, text: expect.stringContaining("signed in") });
    await client.connected();
    expect(await client.ping("10.42.0.1")).toBe(true);
    const [row] = await lab.json<(ConnectionRow & { group: { name: string } })[]>(["connection", "list"]);
    expect(row).toMatchObject({ userId: "alice", group: { name: "staff" } });
    // What the browser brought is worth nothing a second time.
    expect(await post(client, posted)).toMatchObject({ status: 403 });
    await client.stop();
  });

  test("is refused when another signed in, and stays waiting when what a browser brings is not believed", async () => {
    const client = await connecting("bob", await lab.issue("bob"));
    const page = await pageOf(client);
    const forger = await identityProvider();
    const forged = await forger.signIn((await browser(client, page)).to, { name: "bob" });
    expect(await post(client, forged)).toMatchObject({ status: 403 });
    expect(client.log()).not.toContain("AUTH_FAILED");
    expect(await post(client, await signIn(client, page, { name: "mallory" }))).toMatchObject({ status: 200 });
    expect(await client.refused()).toContain("Wrong user name or password");
    await client.stop();
  });
});

test("a browser elsewhere is asked whose VPN it is before it goes on, and only its own click counts", async () => {
  const client = await connecting("fred", await lab.issue("fred"));
  const page = await pageOf(client);
  const elsewhere = { ...client, place: await lab.network.client() };
  const asked = await browser(elsewhere, page);
  expect(asked).toMatchObject({ status: 200, to: "" });
  expect(asked.text).toContain(`A VPN client at ${client.place.address} wants to connect as fred.`);
  for (const header of ["Origin: https://evil.example", "Origin: null", "X-None: 1"]) {
    expect(await browser(elsewhere, "-X", "POST", "-H", header, page)).toMatchObject({ status: 410, to: "" });
  }
  const clicked = await browser(elsewhere, "--data", "", "-H", "Origin: https://198.18.0.1:8443", page);
  expect(clicked).toMatchObject({ status: 303 });
  await post(elsewhere, await idp.signIn(clicked.to, { name: "fred" }));
  await client.connected();
  await client.stop();
});

test("a client that cannot open a browser is told so, and so is the administrator", async () => {
  const client = await connecting("dora", await lab.issue("dora"), "crtext");
  expect(await client.refused()).toContain("not possible here");
  expect(await lab.succeed(["explain", "--user", "dora", "--last"])).toContain("webauth");
  await client.stop();
});

test("identity providers read what they need to know, and a sign-in that is none leads nowhere", async () => {
  const client = await connecting("emil", await lab.issue("emil"));
  await pageOf(client);
  const metadata = await browser(client, "https://198.18.0.1:8443/saml/metadata");
  expect(metadata.text).toContain('entityID="https://198.18.0.1:8443/saml/metadata"');
  expect(await browser(client, "https://198.18.0.1:8443/saml/login/unknown")).toMatchObject({ status: 410, to: "" });
  expect(await browser(client, "--data", "a=b", "https://198.18.0.1:8443/saml/acs")).toMatchObject({ status: 400 });
  await client.stop();
});
