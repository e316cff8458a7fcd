import { sql } from "kysely";
import type { Database } from "./database.ts";
import { STEP } from "./steps.ts";

/**
 * One step of ended connections, oldest first. One that a hook has yet to be told of, or whose telling failed and waits for somebody
 * to decide, stays with its deliveries. Two who do this at once delete each row once.
 */
export async function pruneConnections({ query }: Database, before: string): Promise<number> {
  const { numAffectedRows } = await sql`
      delete from connections where id in (
        select c.id from connections c
        where c.reserved_at < ${before} and c.ended_at < ${before} and c.finished = 1
          and not exists (select 1 from deliveries d where d.session_id = c.id and d.state not in ('done', 'discarded'))
        order by c.reserved_at, c.id limit ${sql.lit(STEP)}
      )
    `.execute(query);
  return Number(numAffectedRows ?? 0n);
}

/** One step of what was told of ended connections. As long as something is left to tell of one, all of its deliveries stay. */
export async function pruneDeliveries({ query }: Database, before: string): Promise<number> {
  const { numAffectedRows } = await sql`
      delete from deliveries where id in (
        select d.id from deliveries d
        join connections c on c.id = d.session_id
        where d.created_at < ${before} and d.finished_at < ${before} and d.state in ('done', 'discarded') and c.ended_at is not null
          and not exists (select 1 from deliveries o where o.session_id = d.session_id and o.state not in ('done', 'discarded'))
        order by d.created_at, d.id limit ${sql.lit(STEP)}
      )
    `.execute(query);
  return Number(numAffectedRows ?? 0n);
}
