import { mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkProgram } from "../../../src/hooks/check/check-program.ts";
import { runner } from "../hook.ts";

let directory: string;
let count = 0;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "hook-check-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function check(text: string, mode = 0o755) {
  const path = join(directory, `script-${count++}`);
  await writeFile(path, text, { mode });
  return checkProgram(path, runner);
}

/** `3: message` for each. */
async function found(text: string, mode?: number): Promise<string[]> {
  return (await check(text, mode)).map(({ line, message }) => `${line ?? "file"}: ${message}`);
}

const dashIsSh = (await realpath("/bin/sh")).endsWith("dash");

describe("a program without a fault", () => {
  it.each([
    ['#!/bin/sh\nset -eu\n[ "$VPN_EVENT" = C ] || exit 0\necho "$VPN_USER_ID"\n'],
    ["#!/bin/bash\nif [[ $VPN_EVENT == C ]]; then a=(1 2); (( a == 1 )); fi\n"],
    ["#!/usr/bin/env bash\nsource /etc/profile\n"],
    ["#!/usr/bin/python3\nimport os\nprint(os.environ['VPN_USER_ID'])\n"],
  ])("is found to have none: %j", async (text) => {
    expect(await check(text)).toEqual([]);
  });

  it("is not suspected for what it quotes, comments or sends on", async () => {
    const text = `#!/bin/sh
# [[ a == b ]] and $1 and function f
echo '[[ a == b ]] \${x^^} $1 &> <<< source x'
echo "the [[ and == in quotes, a+=b, $(date '+%s') \\"[[ x\\" {1..3}"
cat <<EOF
[[ $VPN_EVENT == C ]] && echo -e x &> /dev/null
EOF
cat <<-'END' | sort
	function f() { local -a x; }
	END
number=$(( (1 << 2) + 3 ))
case "$VPN_EVENT" in C|D) : "\${VPN_IP_FOUR:-none}" "\${VPN_IP_SIX:+1}" ;; esac
logger -t vpn -- "$VPN_USER_ID#1" # $1
`;
    expect(await check(text)).toEqual([]);
  });

  it("is a binary, too", async () => {
    expect(await checkProgram("/bin/true", runner)).toEqual([]);
  });
});

describe("what keeps a program from starting", () => {
  it("is found", async () => {
    expect(await checkProgram(join(directory, "missing"), runner)).toMatchObject([
      { severity: "fault", line: null, message: expect.stringContaining("does not exist") },
    ]);
    expect(await found("#!/bin/sh\nexit 0\n", 0o644)).toEqual([expect.stringContaining("is not executable")]);
    expect(await found("#!/opt/python9/bin/python\n")).toEqual([
      expect.stringContaining("/opt/python9/bin/python, which does not exist"),
    ]);
    expect(await found("")).toEqual([expect.stringContaining("is empty")]);
    expect(await checkProgram(directory, runner)).toMatchObject([
      { message: expect.stringContaining("is a directory") },
    ]);
  });

  it("is Windows line ends, in the first line or in another", async () => {
    expect(await found("#!/bin/sh\r\necho hello\r\n")).toEqual([expect.stringMatching(/^file: .*Windows line ends/)]);
    expect(await found("#!/bin/sh\necho hello\r\n")).toEqual([expect.stringMatching(/^2: Windows line ends/)]);
    expect(await found("#!/usr/bin/env python3\nimport os\r\n")).toEqual([
      expect.stringMatching(/^2: Windows line ends/),
    ]);
  });
});

describe("a program that does not say what runs it", () => {
  it("runs with /bin/sh, which is a warning, and is looked at as a script of that", async () => {
    expect(await check("echo hello\n")).toEqual([
      { severity: "warning", line: 1, message: expect.stringContaining("does not say what runs it, so /bin/sh does") },
    ]);
    expect(await found("if true; then\n")).toContainEqual(expect.stringMatching(/cannot read it/));
  });
});

describe("what the interpreter cannot read", () => {
  it("is found with its line", async () => {
    expect(await found("#!/bin/sh\n\nif true; then\n  echo\n")).toEqual([
      expect.stringMatching(/^5: \w+ cannot read it: .*(end of file|fi)/),
    ]);
    expect(await found("#!/bin/bash\necho 'unfinished\n")).toEqual([expect.stringMatching(/^\d: bash cannot read it/)]);
    expect(await found("#!/usr/bin/env bash\nfi\n")).toEqual([expect.stringMatching(/^2: bash cannot read it/)]);
    expect(await found("#!/usr/bin/python3\nimport os\nif True\n  pass\n")).toEqual([
      expect.stringMatching(/^3: python3 cannot read it: SyntaxError/),
    ]);
  });

  it("is not run to find out", async () => {
    const path = join(directory, "was-run");
    await check(`#!/bin/sh\ntouch ${path}\n`);
    expect(await checkProgram(path, runner)).toMatchObject([{ message: expect.stringContaining("does not exist") }]);
  });
});

describe.runIf(dashIsSh)("what only bash understands, under #!/bin/sh", () => {
  it.each([
    ['if [[ "$VPN_EVENT" = C ]]; then :; fi', /\[\[ … \]\]/],
    ['if [ "$VPN_EVENT" == C ]; then :; fi', /== inside \[ \]/],
    ['test "$VPN_EVENT" == C && exit', /== inside \[ \]/],
    ['[ "$a" = b ] || [ "$VPN_EVENT" == "C" ]', /== inside \[ \]/],
    ["source ./settings", /source/],
    ["x=1; source ./settings", /source/],
    ["names+=' more'", /\+=/],
    [`echo "\${VPN_USER_ID^^}" "\${VPN_USER_ID,,}"`, /changing case/],
    [`echo "\${VPN_USER_ID/@*/}"`, /replacing/],
    [`echo "\${VPN_USER_ID:0:3}"`, /substrings/],
    ["declare -i n=1", /bash's/],
    ["curl -s http://x &> /dev/null", /&>/],
    ["for i in {1..3}; do :; done", /seq/],
    ["set -euo pipefail", /pipefail/],
    ["echo $RANDOM", /variable/],
    ["read -t 3 line", /read has only/],
    ["echo -e 'a\\tb'", /echo -e/],
    [`echo "now $([[ a == b ]] && echo yes)"`, /\[\[ … \]\]/],
  ])("is found in its line: %s", async (line, message) => {
    const findings = await check(`#!/bin/sh\n# a comment\n${line}\n`);
    expect(findings).toContainEqual({ severity: expect.any(String), line: 3, message: expect.stringMatching(message) });
    expect((await check(`#!/bin/bash\n\n${line}\n`)).filter(({ severity }) => severity === "fault")).toEqual([]);
  });

  it.each([
    ["x=(a b)", /arrays/],
    ["cat <<< text", /<<</],
    ["while read -r l; do :; done < <(ls)", /<\( … \)/],
    ["function log { :; }", /function/],
    ["(( n = 1 ))", /\(\(/],
  ])("is found though the shell itself cannot even read it: %s", async (line, message) => {
    expect(await check(`#!/bin/sh\n${line}\n`)).toContainEqual({
      severity: "fault",
      line: 2,
      message: expect.stringMatching(message),
    });
  });
});

describe("what a hook is not", () => {
  it("is said as a warning: arguments, the bare names, OpenVPN's own variables", async () => {
    const findings = await check('#!/bin/sh\nlog "$1"\nlog "$USER_ID" "$EVENT"\nlog "$common_name"\n');
    expect(findings).toEqual([
      { severity: "warning", line: 2, message: expect.stringContaining("no arguments") },
      { severity: "warning", line: 3, message: expect.stringContaining("legacyVariableNames") },
      { severity: "warning", line: 4, message: expect.stringContaining("VPN_CONNECTION_ID") },
    ]);
  });

  it("leaves the arguments of functions alone", async () => {
    expect(await check('#!/bin/sh\nlog() { logger -- "$1"; }\nlog hello\n')).toEqual([]);
  });
});
