import { expect, test } from "vitest";
import { shownSetting } from "../../src/api/commands/settings.ts";
import { shippedScriptCommands } from "../../src/api/commands/shipped-scripts.ts";
import { runCommand } from "../../src/api/run-command.ts";
import type { ShippedScripts } from "../../src/post-auth/shipped.ts";

const key = "post_auth.duo.settings";
const secret = "Zh5eGmUq9zpfQnyUIu5OL9iWoMMv5ZNmk3zLJ4Ep";

test.each([
  [
    { apiHost: "api.example.org", secretKey: secret },
    { apiHost: "api.example.org", secretKey: "[secret]" },
  ],
  [{ servers: [{ Password: secret, port: 1 }] }, { servers: [{ Password: "[secret]", port: 1 }] }],
  [
    { api_token: secret, clientSecrets: [secret] },
    { api_token: "[secret]", clientSecrets: "[secret]" },
  ],
])("what scripts' settings hold in secrets is not listed", (settings, shown) => {
  expect(JSON.parse(shownSetting(key, JSON.stringify(settings)))).toEqual(shown);
});

test("settings without secrets are listed as they are written, and what cannot be read is not", () => {
  const text = '{ "allow": ["192.0.2.0/24"], "secretKey": "" }';
  expect(shownSetting(key, text)).toBe(text);
  expect(shownSetting(key, `{ "secretKey": "${secret}"`)).toBe("[secret]");
  expect(shownSetting("post_auth.settings", text)).toBe(text);
  expect(shownSetting("auth.ldap.0.bind_pw", secret)).toBe("[secret]");
});

test("a script's settings are shown without secrets, also to whoever has just set them", async () => {
  const settings = { apiHost: "api.example.org", secretKey: secret };
  const listed = { id: "duo", defaults: { apiHost: "", secretKey: "" }, set: settings, inForce: settings };
  const scripts = { settings: async () => listed, configure: async () => listed };
  const commands = shippedScriptCommands({ shipped: {} as ShippedScripts, scripts });
  const masked = { apiHost: "api.example.org", secretKey: "[secret]" };
  const shown = { id: "duo", defaults: { apiHost: "", secretKey: "" }, set: masked, inForce: masked };
  expect(await runCommand(commands, "post-auth-settings", { name: "duo" })).toEqual(shown);
  const given = { name: "duo", settings: JSON.stringify(settings) };
  expect(await runCommand(commands, "post-auth-configure", given)).toEqual(shown);
});
