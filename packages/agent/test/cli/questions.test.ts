import { execFileSync } from "node:child_process";
import { resolve } from "node:path";
import { expect, test } from "vitest";

const node = resolve(import.meta.dirname, "../../../../node_modules/node/bin/node");
const module = resolve(import.meta.dirname, "../../src/cli/questions.ts");

/** Asks for a name (shown), then a password (not shown), and says both at the end; `{}` for interrupted. */
const asking = `
import { questionsOn } from ${JSON.stringify(module)};
const questions = questionsOn({ ...process, stdin: process.stdin, stderr: process.stderr, onInterrupt: () => {} });
const ask = (prompt, echo) => questions.ask({ prompt, echo, what: "it" });
const answers = await Promise.all([ask("Name: ", true), ask("Password: ", false)]).catch((error) => error.kind);
questions.close();
console.log("answers " + JSON.stringify(answers));
`;

/** What a terminal shows while the lines are typed, each when its prompt is there; all of them at once where told. */
const onTerminal = `
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], [sys.argv[1], "--input-type=module", "-e", sys.argv[2]])
shown = b""
for prompt, line in zip(sys.argv[3::2], sys.argv[4::2]):
    while prompt.encode() not in shown:
        shown += os.read(fd, 4096)
    os.write(fd, line.encode())
while True:
    try:
        more = os.read(fd, 4096)
    except OSError:
        break
    if not more:
        break
    shown += more
os.waitpid(pid, 0)
sys.stdout.buffer.write(shown)
`;

function typed(...promptsAndLines: string[]): string {
  const words = ["-c", onTerminal, node, asking, ...promptsAndLines];
  return execFileSync("/usr/bin/python3", words, { encoding: "utf8", timeout: 25_000 });
}

test("what is typed is shown where the question says so, and a password is not", () => {
  const shown = typed("Name: ", "alice\n", "Password: ", "s3cret\n");
  const [before = "", after] = shown.split("answers ");
  expect(after?.trim()).toBe('["alice","s3cret"]');
  expect(before).toContain("alice");
  expect(before).not.toContain("s3cret");
});

test("what is pasted ahead is not shown before its question, and not lost", () => {
  const [before = "", after] = typed("Name: ", "alice\ns3cret\n").split("answers ");
  expect(after?.trim()).toBe('["alice","s3cret"]');
  expect(before).not.toContain("s3cret");
});

test("what was typed before a question was seen is no answer to one that is asked afresh", () => {
  const code = asking
    .replace('ask("Password: ", false)]', 'ask("Password: ", false), afresh()]')
    .replace(
      "const answers",
      'const afresh = () => questions.ask({ prompt: "Run it? ", echo: true, what: "it", afresh: true });\nconst answers',
    );
  const words = ["-c", onTerminal, node, code, "Name: ", "alice\ns3cret\nyes\nye", "Run it? ", "no\n"];
  const shown = execFileSync("/usr/bin/python3", words, { encoding: "utf8", timeout: 25_000 });
  expect(shown.split("answers ")[1]?.trim()).toBe('["alice","s3cret","no"]');
});

test("Ctrl-C at a question interrupts it", () => {
  expect(typed("Name: ", "alice\n", "Password: ", "\u0003")).toContain('answers "interrupted"');
});

test("a terminal that is closed ends nothing but the questions", () => {
  const closing = `
import os, pty, subprocess, sys
master, slave = pty.openpty()
agent = subprocess.Popen([sys.argv[1], "--input-type=module", "-e", sys.argv[2]], stdin=slave, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, start_new_session=True)
os.close(slave)
os.write(master, b"alice\\n")
print(agent.stdout.readline().decode(), end="", flush=True)
os.close(master)
out, err = agent.communicate(timeout=20)
print(out.decode(), err.decode(), agent.returncode)
`;
  const code = `
    import { questionsOn } from ${JSON.stringify(module)};
    process.on("SIGHUP", () => undefined);
    const io = { stdin: process.stdin, stderr: process.stderr, onInterrupt: () => {} };
    const questions = questionsOn(io);
    console.log("answer", await questions.ask({ prompt: "", echo: false, what: "it" }));
    const words = await questions.ask({ prompt: "", echo: false, what: "it" }).catch((error) => error.message);
    console.log("then", words);
    questions.close();`;
  const said = execFileSync("/usr/bin/python3", ["-c", closing, node, code], { encoding: "utf8", timeout: 25_000 });
  expect(said.replaceAll(/\s+/g, " ")).toMatch(/^answer alice then An answer was needed and none was given\. 0 $/);
});

test("without a terminal answers are lines of standard input, and too few of them are told", () => {
  const answers = (input: string) =>
    execFileSync(node, ["--input-type=module", "-e", asking], { input, encoding: "utf8", timeout: 25_000 });
  expect(answers("alice\ns3cret\n")).toBe('answers ["alice","s3cret"]\n');
  expect(answers("alice\n")).toBe('answers "failed"\n');
});
