import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { samlMethod } from "../../../src/auth/methods/saml.ts";
import { readSamlSettings, type SamlOptions } from "../../../src/auth/methods/saml-options.ts";
import { samlProvider } from "../../../src/auth/methods/saml-provider.ts";
import { SamlSignIns } from "../../../src/auth/methods/saml-sign-ins.ts";
import { settingFaultText } from "../../../src/auth/methods/settings.ts";
import { Secret } from "../../../src/core/secret.ts";
import { type IdentityProvider, identityProvider, type Posted, tampered } from "./saml-idp.ts";

let idp: IdentityProvider;
let strangers: IdentityProvider;
let now: number;
let signIns: SamlSignIns;
let options: SamlOptions;

const terms = { publicUrl: "https://vpn.example.org" };

beforeAll(async () => {
  [idp, strangers] = await Promise.all([identityProvider(), identityProvider()]);
});

beforeEach(() => {
  now = Date.now();
  signIns = new SamlSignIns(() => now);
  options = optionsFrom({});
});

const settingsOf = (changes: Record<string, string> = {}) => ({
  "auth.saml.0.idp_entityid": idp.entityId,
  "auth.saml.0.idp_signon_endpoint": idp.signOnUrl,
  "auth.saml.0.idp_cert": idp.certificatePem,
  ...changes,
});

function optionsFrom(changes: Record<string, string>): SamlOptions {
  const { options: read, faults } = readSamlSettings(settingsOf(changes), terms);
  if (read === undefined) throw new Error(faults.map(settingFaultText).join("; "));
  return read;
}

const provider = () => samlProvider(options, signIns);

/** A VPN client that was sent to a browser. */
async function begun(username = "alice") {
  const asked = await samlMethod(options, signIns).check({ username, password: new Secret("") });
  if (asked.outcome !== "challenged" || asked.web === undefined)
    throw new Error(`not sent to a browser: ${asked.outcome}`);
  const url = await provider().signOnUrl(asked.web.id);
  if (url === undefined) throw new Error("the sign-in's page leads nowhere");
  return { ...asked, web: asked.web, url };
}

const accept = ({ RelayState: id, SAMLResponse: response }: Posted) => provider().accept({ id, response });

async function refusalOf(posted: Posted): Promise<string> {
  const result = await accept(posted);
  if ("word" in result) throw new Error("it was believed");
  return result.refused;
}

describe("a SAML sign-in", () => {
  it("sends the browser to the identity provider, and lets in whom it vouches for, with their attributes", async () => {
    const { state, web, url } = await begun();
    expect(web.url).toBe(`https://vpn.example.org/saml/login/${web.id}`);
    expect(url).toMatch(/^https:\/\/idp\.example\.org\/sso\?SAMLRequest=/);
    const attributes = { groups: ["staff", "vpn"], mail: "alice@example.org" };
    const accepted = await accept(await idp.signIn(url, { name: "alice", attributes }));
    if (!("word" in accepted)) throw new Error(accepted.refused);
    const method = samlMethod(options, signIns);
    expect(await method.resume?.(state, new Secret(accepted.word))).toMatchObject({
      outcome: "accepted",
      userId: "alice",
      info: { saml_attr: { groups: ["staff", "vpn"], mail: ["alice@example.org"] } },
    });
    expect(await method.resume?.(state, new Secret(accepted.word))).toMatchObject({ outcome: "wrong" });
  });

  it("is believed with the whole response signed as well", async () => {
    const { url } = await begun();
    expect(await accept(await idp.signIn(url, { name: "alice" }, { signResponse: true }))).toHaveProperty("word");
  });

  it("takes the user's name from an attribute where told, and from no other place", async () => {
    options = optionsFrom({ "auth.saml.0.user_attribute": "uid" });
    const { url, state } = await begun("alice");
    const accepted = await accept(await idp.signIn(url, { name: "opaque-1", attributes: { uid: "alice" } }));
    if (!("word" in accepted)) throw new Error(accepted.refused);
    expect(await samlMethod(options, signIns).resume?.(state, new Secret(accepted.word))).toMatchObject({
      userId: "alice",
    });
    expect(await refusalOf(await idp.signIn((await begun()).url, { name: "alice" }))).toContain("names nobody");
    const two = await idp.signIn((await begun()).url, { name: "alice", attributes: { uid: ["alice", "bob"] } });
    expect(await refusalOf(two)).toContain("names several");
  });

  it("is wrong for another than the VPN client named", async () => {
    const { url, state } = await begun("bob");
    const accepted = await accept(await idp.signIn(url, { name: "alice" }));
    if (!("word" in accepted)) throw new Error(accepted.refused);
    expect(await samlMethod(options, signIns).resume?.(state, new Secret(accepted.word))).toMatchObject({
      outcome: "wrong",
      reason: expect.stringContaining("alice signed in"),
    });
  });

  it("is answered by the word of its own browser alone", async () => {
    const [mine, others] = [await begun("alice"), await begun("alice")];
    const accepted = await accept(await idp.signIn(others.url, { name: "alice" }));
    if (!("word" in accepted)) throw new Error(accepted.refused);
    const method = samlMethod(options, signIns);
    for (const word of [accepted.word, "", "guess", mine.web.id]) {
      expect(await method.resume?.(mine.state, new Secret(word))).toMatchObject({ outcome: "wrong" });
    }
  });

  it("waits for five minutes", async () => {
    const { url, web } = await begun();
    const posted = await idp.signIn(url, { name: "alice" });
    now += 5 * 60_000;
    expect(await refusalOf(posted)).toContain("nobody waits");
    expect(await provider().signOnUrl(web.id)).toBeUndefined();
  });

  it("is refused, as an outage, when too many are under way", async () => {
    for (let i = 0; i < 5_000; i += 1) signIns.begin({ username: `u${i}`, address: undefined });
    const check = () => samlMethod(options, signIns).check({ username: "alice", password: new Secret("") });
    expect(await check()).toMatchObject({ outcome: "unreachable" });
    now += 5 * 60_000;
    expect(await check()).toMatchObject({ outcome: "challenged" });
  });
});

describe("an assertion is not believed", () => {
  const ofAlice = { name: "alice" };

  it.each<[string, Record<string, unknown>, RegExp]>([
    ["unsigned", { signAssertion: false }, /signature/i],
    ["unsigned in a signed response", { signAssertion: false, signResponse: true }, /signature/i],
    ["for another audience", { audience: "https://other.example.org/saml/metadata" }, /audience/i],
    ["for no audience", { audience: undefined }, /audience|./i],
    ["for another recipient", { recipient: "https://other.example.org/saml/acs" }, /subject confirmation/],
    ["for no recipient", { recipient: undefined }, /subject confirmation/],
    ["in answer to another request", { inResponseTo: "_other" }, /InResponseTo/],
    ["in answer to no request", { inResponseTo: undefined }, /InResponseTo|subject confirmation/],
    ["from another issuer", { issuer: "https://elsewhere.example.org" }, /issued by/],
    ["that is over", { lifetimeInSeconds: -120 }, /expired|subject confirmation/i],
  ])("%s", async (_what, changes, why) => {
    const { url } = await begun();
    expect(await refusalOf(await idp.signIn(url, ofAlice, changes))).toMatch(why);
    // Somebody else's failure does not use up the sign-in.
    expect(await accept(await idp.signIn(url, ofAlice))).toHaveProperty("word");
  });

  it("signed by strangers", async () => {
    const { url } = await begun();
    expect(await refusalOf(await strangers.signIn(url, ofAlice))).toMatch(/signature/i);
  });

  it.each<[string, (xml: string) => string]>([
    ["whose user was changed", (xml) => xml.replace(">alice<", ">admin<")],
    ["whose time was changed", (xml) => xml.replaceAll(/NotOnOrAfter="2/g, 'NotOnOrAfter="3')],
    ["with a doctype", (xml) => `<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>${xml}`],
    [
      "beside a forged one",
      (xml) => {
        const [assertion = ""] = /<saml:Assertion[\s\S]*<\/saml:Assertion>/.exec(xml) ?? [];
        const forged = assertion.replace(/<Signature[\s\S]*<\/Signature>/, "").replace(">alice<", ">admin<");
        return xml.replace(assertion, forged.replace(/ID="[^"]*"/, 'ID="_forged"') + assertion);
      },
    ],
    [
      "hidden inside a forged one",
      (xml) => {
        const [assertion = ""] = /<saml:Assertion[\s\S]*<\/saml:Assertion>/.exec(xml) ?? [];
        const forged = assertion
          .replace(/<Signature[\s\S]*<\/Signature>/, "")
          .replace(">alice<", ">admin<")
          .replace(/ID="[^"]*"/, 'ID="_forged"')
          .replace("</saml:Assertion>", `<saml:Advice>${assertion}</saml:Advice></saml:Assertion>`);
        return xml.replace(assertion, forged);
      },
    ],
  ])("%s", async (_what, change) => {
    const { url } = await begun();
    expect(await refusalOf(tampered(await idp.signIn(url, ofAlice), change))).not.toBe("");
  });

  it("as somebody whose name a comment was put into", async () => {
    const { url, state } = await begun("alice");
    const posted = await idp.signIn(url, { name: "alice.evil.example" });
    const result = await accept(tampered(posted, (xml) => xml.replace(">alice.evil", ">alice<!-- -->.evil")));
    const word = "word" in result ? result.word : "";
    expect(await samlMethod(options, signIns).resume?.(state, new Secret(word))).toMatchObject({ outcome: "wrong" });
  });

  it("twice", async () => {
    const { url } = await begun();
    const posted = await idp.signIn(url, ofAlice);
    expect(await accept(posted)).toHaveProperty("word");
    expect(await refusalOf(posted)).toContain("nobody waits");
    expect(signIns.useAssertion("_a", now + 1000)).toBe(true);
    expect(signIns.useAssertion("_a", now + 1000)).toBe(false);
  });

  it("for another's sign-in", async () => {
    const [mine, others] = [await begun(), await begun()];
    const posted = await idp.signIn(mine.url, ofAlice);
    expect(await refusalOf({ ...posted, RelayState: others.web.id })).toMatch(/InResponseTo/);
    expect(await refusalOf({ ...posted, RelayState: "unknown" })).toContain("nobody waits");
    expect(await accept(posted)).toHaveProperty("word");
  });

  it.each(["", "no base64!", Buffer.from("<a>").toString("base64"), "PD94"])("when it is %j", async (SAMLResponse) => {
    const { web } = await begun();
    expect(await refusalOf({ SAMLResponse, RelayState: web.id })).not.toBe("");
  });
});

describe("what identity providers are told", () => {
  it("are Access Server's paths under the public URL, or under the host name of the settings", () => {
    expect(provider().metadata()).toContain('entityID="https://vpn.example.org/saml/metadata"');
    expect(provider().metadata()).toContain('Location="https://vpn.example.org/saml/acs"');
    expect(provider().metadata()).toContain('WantAssertionsSigned="true"');
    options = optionsFrom({ "auth.saml.0.sp_hostname": "sso.example.org:8443" });
    expect(provider().metadata()).toContain('Location="https://sso.example.org:8443/saml/acs"');
  });
});

describe("the settings", () => {
  it("are no fault where nobody has set SAML up", () => {
    expect(readSamlSettings({}, terms)).toMatchObject({ options: undefined, faults: [] });
  });

  it.each([
    ["idp_entityid", ""],
    ["idp_signon_endpoint", "idp.example.org"],
    ["idp_cert", "not a certificate"],
    ["sp_hostname", "https://vpn.example.org/"],
    ["clock_skew", "301"],
  ])("name what is wrong with %s", (key, value) => {
    const { options: read, faults } = readSamlSettings(settingsOf({ [`auth.saml.0.${key}`]: value }), terms);
    expect(read).toBeUndefined();
    expect(faults.map((fault) => fault.key)).toEqual([`auth.saml.0.${key}`]);
  });

  it("take certificates in PEM, several, on one line, and bare", () => {
    const bare = idp.certificatePem.replaceAll(/-----[^-]+-----|\s/g, "");
    const forms = [idp.certificatePem + strangers.certificatePem, idp.certificatePem.replaceAll("\n", "\\n"), bare];
    const counts = forms.map((text) => optionsFrom({ "auth.saml.0.idp_cert": text }).idpCertificates.length);
    expect(counts).toEqual([2, 1, 1]);
  });
});
