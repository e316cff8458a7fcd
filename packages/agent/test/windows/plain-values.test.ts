import { expect, test } from "vitest";
import { byLine } from "../../src/windows/console-text.ts";
import { environmentBlock } from "../../src/windows/start-in-job.ts";

test("output is read line by line: UTF-8 where it is that, else as the console has it", () => {
  const other = (line: Buffer) => `<${line.toString("latin1")}>`;
  expect(byLine(Buffer.from("grüß\nx"), other)).toBe("grüß\nx");
  const mixed = Buffer.concat([Buffer.from("grüß\n"), Buffer.from([0x81, 0x0a]), Buffer.from("end")]);
  expect(byLine(mixed, other)).toBe("grüß\n<\x81\n>end");
  expect(byLine(Buffer.alloc(0), other)).toBe("");
});

test("an environment is sorted by name, capital letters or not, as CreateProcess wants it", () => {
  expect(environmentBlock({ b: "2", A: "1", _: "4", C: "ü=3" }).toString("utf16le")).toBe("A=1\0b=2\0C=ü=3\0_=4\0\0");
});
