/**
 * The first thing a worker runs, given to `node -e`. Everything else arrives over file descriptor 3, so neither the
 * account the worker runs as nor the script needs to be able to read Sallyport's files.
 */
import { closeSync, readSync } from "node:fs";
import { isBuiltin, registerHooks, stripTypeScriptTypes } from "node:module";

function take(size: number): Buffer {
  const taken = Buffer.alloc(size);
  for (let length = 0; length < size; ) {
    const read = readSync(3, taken, length, size - length, null);
    if (read === 0) process.exit(0);
    length += read;
  }
  return taken;
}

const percent = (character: string) => `%${character.charCodeAt(0).toString(16)}`;

closeSync(4); // the program itself, by which it was started
const orders = JSON.parse(take(Number(take(10).toString("latin1"))).toString("utf8"));
const home = "sallyport-sdk:///";
/** Where the script's text is taken from; `main` puts it there. */
const script = { url: `script:${encodeURIComponent(orders.name).replaceAll(/[!'()*]/g, percent)}`, code: "" };

registerHooks({
  resolve(specifier, context, next) {
    if (specifier === "@sallyport/sdk") return { url: `${home}index.ts`, format: "module", shortCircuit: true };
    if (isBuiltin(specifier)) return next(specifier, context);
    if (specifier === script.url) return { url: specifier, format: "module", shortCircuit: true };
    if (context.parentURL !== script.url && (specifier.startsWith(home) || specifier.startsWith("."))) {
      return { url: new URL(specifier, context.parentURL).href, format: "module", shortCircuit: true };
    }
    const allowed = "a script is one file, and can import @sallyport/sdk and Node's own modules (node:crypto, …)";
    throw new Error(`${JSON.stringify(specifier)} cannot be imported: ${allowed}`);
  },
  load(url, context, next) {
    if (url === script.url) return { format: "module", source: script.code, shortCircuit: true };
    const source = url.startsWith(home) ? orders.sources[url.slice(home.length)] : undefined;
    if (source === undefined) return next(url, context);
    return { format: "module", source: stripTypeScriptTypes(source), shortCircuit: true };
  },
});

const { main } = await import(`${home}host/main.ts`);
await main(orders, script);
