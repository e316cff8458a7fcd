import { openSqlite } from "../../src/store/sqlite.ts";
import { hooksOf, program } from "./hook.ts";

// Stands for the daemon, so that it can be killed: delivers to one hook, and asks it about a connection where one is
// named. Arguments: database, the hook's program, its directory, veto or observe, a connection's id.
const [file = "", path = "", workingDirectory = "", role, sessionId] = process.argv.slice(2);
const store = await openSqlite({ file });
const veto = role === "veto";
const hooks = hooksOf([program(path, { name: "hook", veto, workingDirectory, deadlineMs: 60_000 })], store);
await hooks.start();
process.stdout.write("started\n");
const connection = sessionId === undefined ? undefined : await store.ledger.get(sessionId);
if (connection) process.stdout.write(`${JSON.stringify(await hooks.vetoes.ask(connection))}\n`);
process.on("SIGTERM", async () => {
  await hooks.stop(5_000);
  await store.close();
});
setInterval(() => {}, 60_000).ref();
