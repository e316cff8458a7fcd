import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { launchOpenVpn } from "../../src/openvpn/launch.ts";

test("answers to questions are in no log, and not in its last words", async () => {
  const directory = await mkdtemp(join(tmpdir(), "agent-launch-"));
  let heard = "";
  const says = [
    "MANAGEMENT: CMD 'cr-response aHVzaA=='",
    "SENT CONTROL [sallyport-server-office]: 'CR_RESPONSE,aHVzaA==' (status=1)",
  ];
  const openvpn = launchOpenVpn({
    program: "/bin/sh",
    args: ["-c", 'printf "%s\\n" "$@"', "sh", ...says],
    directory,
    management: { path: join(directory, "m") },
    onOutput: (text) => {
      heard += text;
    },
  });
  const lastWords = await openvpn.exited;
  expect(heard).toContain("CR_RESPONSE,[...]' (status=1)");
  expect(heard + lastWords).not.toContain("aHVzaA");
});
