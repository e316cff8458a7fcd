import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { readLdapSettings } from "../../../src/auth/methods/ldap-options.ts";
import { readPamSettings } from "../../../src/auth/methods/pam-options.ts";
import { readRadiusSettings } from "../../../src/auth/methods/radius-options.ts";
import { readSamlSettings } from "../../../src/auth/methods/saml-options.ts";
import type { Settings, SettingsReading } from "../../../src/auth/methods/settings.ts";

const page = await readFile(resolve(import.meta.dirname, "../../../../../docs/auth-methods.md"), "utf8");

const readers: Record<string, (settings: Settings) => SettingsReading<unknown>> = {
  ldap: readLdapSettings,
  radius: (settings) => readRadiusSettings(settings, { nasIdentifier: "vpn" }),
  pam: readPamSettings,
  saml: (settings) => readSamlSettings(settings, { publicUrl: "https://vpn.example.org" }),
};

test.each(Object.entries(readers))(
  "docs/auth-methods.md lists each setting of %s that is read, and no other",
  (method, read) => {
    const looked = new Set<string>();
    const one: Settings = { [`auth.${method}.0.server.0.host`]: "server.example.org" };
    read(
      new Proxy(one, {
        get(target, key) {
          looked.add(String(key).replace("server.0", "server.N"));
          return Reflect.get(target, key);
        },
      }),
    );
    // Named only to be refused.
    looked.delete("auth.ldap.0.sasl_external");
    const documented = [...page.matchAll(/^\| `(auth\.[a-z]+\.0\.[A-Za-z_.]+)` \|/gm)]
      .map(([, key]) => key ?? "")
      .filter((key) => key.startsWith(`auth.${method}.`));
    expect(documented.sort()).toEqual([...looked].filter((key) => method !== "pam" || !key.includes("server")).sort());
  },
);
