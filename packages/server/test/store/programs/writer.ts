import { openSqlite } from "../../../src/store/sqlite.ts";
import { anEnd, aReservation, at, granted, ranges } from "../suite/rows.ts";

/** Lives connections one after the other in several lanes, and says each thing once it is durable, until it is killed. */
const [file = ""] = process.argv.slice(2);
const store = await openSqlite({ file });
const say = (what: string, id: string) => process.stdout.write(`${what} ${id}\n`);

async function lane(): Promise<never> {
  for (;;) {
    const { id } = granted(await store.ledger.reserve(aReservation({}, { ipv4: ranges("10.42.0.0/16") })));
    say("reserved", id);
    await store.ledger.admit(id, { at: at(1), save: { [id]: "saved" }, observers: ["siem", "inventory"] });
    say("admitted", id);
    await store.ledger.end(id, anEnd({ subscribers: ["siem", "inventory"], release: true }));
    say("ended", id);
  }
}

await Promise.all(Array.from({ length: 6 }, lane));
