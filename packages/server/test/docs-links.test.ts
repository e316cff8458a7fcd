import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { expect, test } from "vitest";

const root = resolve(import.meta.dirname, "../../..");

/** As code hosts make them of headings. */
function anchorsOf(page: string): string[] {
  return [...page.replaceAll(/^```.*?^```/gms, "").matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .trim()
      .replaceAll(" ", "-"),
  );
}

test("links between the pages lead to a page, and to a heading of it", async () => {
  const pages = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"], {
    cwd: root,
    encoding: "utf8",
  });
  const broken: string[] = [];
  let links = 0;
  for (const page of pages.split("\0").filter((one) => one !== "" && existsSync(join(root, one)))) {
    const text = await readFile(join(root, page), "utf8");
    for (const [, target = ""] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      links += 1;
      const [file = "", anchor] = target.split("#");
      const path = file === "" ? join(root, page) : join(root, dirname(page), file);
      const leads =
        existsSync(path) &&
        (anchor === undefined || anchorsOf(await readFile(path, "utf8")).includes(decodeURIComponent(anchor)));
      if (!leads) broken.push(`${page}: ${target}`);
    }
  }
  expect(broken).toEqual([]);
  expect(links).toBeGreaterThan(100);
});
