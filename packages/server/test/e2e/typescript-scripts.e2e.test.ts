import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { askedClient } from "./lab/asked-client.ts";
import { type Lab, openLab, until } from "./lab.ts";

let lab: Lab;
const password = "correct horse";
const shipped = join(import.meta.dirname, "../../../sdk/scripts");

const marking = `
def post_auth(authcred, attributes, authret, info):
    authret["floor"] = 3.5
    return authret
`;

const asking = `
import { allow, definePostAuth, deny } from "@sallyport/sdk";

const settings = { answer: "42" };

export default definePostAuth({ settings }, (request, ctx) => {
  if (request.method === "session" || request.reauth) return allow();
  if (ctx.response === undefined) return ctx.challenge("PIN", { echo: true });
  if (ctx.response !== ctx.settings.answer) return deny({ reason: "wrong PIN", clientReason: "That was another PIN." });
  return allow({ group: "eng", address: "10.42.8.9", save: { pvt_floor: String(request.data.floor) } });
});
`;

beforeAll(async () => {
  lab = await openLab();
  await lab.daemon.start();
  await lab.addUser("alice", password);
  await lab.succeed(["group", "add", "eng"]);
  await lab.succeed(["property", "set", "--group", "eng", "group_subnets.0", "10.42.8.0/24"]);
  await store("marking", await file("marking.py", marking));
  await store("asking", await file("asking.ts", asking));
});

afterAll(() => lab?.[Symbol.asyncDispose]());

async function file(name: string, text: string): Promise<string> {
  const path = join(lab.directory, name);
  await writeFile(path, text);
  return path;
}

async function store(name: string, path: string): Promise<void> {
  await lab.succeed(["post-auth", "add", name, path]);
  await lab.succeed(["post-auth", "activate", name]);
}

const connect = async (...answers: string[]) =>
  askedClient(lab, {
    ovpnText: await lab.issue("alice"),
    person: { user: "alice", password, answers },
    canBeAsked: true,
  });

test("a Python and a TypeScript script together ask, place, and save, and the tunnel has what they gave", async () => {
  const client = await connect("42");
  await client.connected();
  expect((await client.addresses()).ipv4).toBe("10.42.8.9");
  expect(client.asked().filter(({ kind }) => kind !== "credentials")).toEqual([
    { kind: "text", text: "PIN", echo: true },
  ]);
  expect(await lab.json(["property", "get", "--user", "alice", "pvt_floor"])).toMatchObject({ value: "3.5" });
  await client.stop();
});

test("settings are in force at the next sign-in, and a refusal has the script's words", async () => {
  await lab.succeed(["config", "set", "post_auth.asking.settings", '{ "answer": "43" }']);
  const client = await connect("42");
  await client.sees(/AUTH_FAILED,That was another PIN\./, 60_000);
  await client.stop();
  await lab.succeed(["config", "delete", "post_auth.asking.settings"]);
});

test("a script that comes with Sallyport keeps people out of its hours", async () => {
  await lab.succeed(["post-auth", "remove", "asking"]);
  const path = join(shipped, "working-hours.ts");
  await lab.succeed(["post-auth", "add", "hours", path, "--cases", join(shipped, "working-hours.cases.yaml")]);
  await lab.succeed(["config", "set", "post_auth.hours.settings", '{ "hours": {}, "closed": "Come back tomorrow." }']);
  await lab.succeed(["post-auth", "activate", "hours"]);
  const client = await connect();
  await client.sees(/AUTH_FAILED,Come back tomorrow\./, 60_000);
  await client.stop();
  const always =
    '{ "hours": { "sun": "0:00-24:00", "mon": "0:00-24:00", "tue": "0:00-24:00", "wed": "0:00-24:00", "thu": "0:00-24:00", "fri": "0:00-24:00", "sat": "0:00-24:00" } }';
  await lab.succeed(["config", "set", "post_auth.hours.settings", always]);
  const again = await connect();
  await again.connected();
  await again.stop();
  await until("nobody is connected", async () => (await lab.json<unknown[]>(["connection", "list"])).length === 0);
});
