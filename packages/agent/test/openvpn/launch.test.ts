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
    // The last in two pieces.
    args: ["-c", 'printf "%s\\n" "$@"; printf "cr-response aHV"; sleep 0.2; echo zaA==', "sh", ...says],
    directory,
    management: { path: join(directory, "m") },
    onOutput: (text) => {
      heard += text;
    },
  });
  const lastWords = await openvpn.exited;
  expect(heard).toContain("CR_RESPONSE,[...]' (status=1)");
  expect(lastWords.trimEnd().split("\n")).toHaveLength(3);
  expect(heard + lastWords).not.toMatch(/aHV|zaA/);
});
