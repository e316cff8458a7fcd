import { readdir, readFile } from "node:fs/promises";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";

const directory = new URL("../../../../sdk/python/", import.meta.url);

/** The host's Python modules as text: what the daemon can read, the account a script runs as need not. */
export type HostSource = {
  /** Given to `python3 -c`; takes the modules from the pipe. */
  boot: string;
  /** By module name (`pyovpn.plugin`); a package's own text is under the package's name. */
  modules: Record<string, string>;
};

export async function readHostSource(): Promise<HostSource> {
  const boot = await readFile(new URL("boot.py", directory), "utf8");
  const packages = await Promise.all(["pyovpn", "sallyport_host"].map(readPackage));
  return { boot, modules: Object.fromEntries(packages.flat()) };
}

async function readPackage(name: string): Promise<[string, string][]> {
  const path = fileURLToPath(new URL(`${name}/`, directory));
  const files = (await readdir(path)).filter((file) => file.endsWith(".py"));
  return Promise.all(
    files.map(async (file) => {
      const module = file === "__init__.py" ? name : `${name}.${basename(file, ".py")}`;
      return [module, await readFile(path + file, "utf8")] as [string, string];
    }),
  );
}
