import { sql } from "kysely";
import type { ClientScriptStore, KeptReport, ReportCounts } from "./client-script-store.ts";
import type { Database } from "./database.ts";

type Part =
  | "putTicket"
  | "ticket"
  | "takeTicket"
  | "reporter"
  | "addReports"
  | "reportCounts"
  | "reports"
  | "connectionAt"
  | "prune";

/** What one statement of any engine takes. */
const idsAtOnce = 500;

/** The half of the store that connections use: tickets, and what agents reported. */
export function clientScriptTickets({ query, transaction }: Database): Pick<ClientScriptStore, Part> {
  return {
    putTicket: ({ digest, connectionId, platform, createdAt, expiresAt }) =>
      transaction(async (trx) => {
        await trx
          .deleteFrom("client_script_tickets")
          .where("connection_id", "=", connectionId)
          .where("used_at", "is", null)
          .execute();
        await trx
          .insertInto("client_script_tickets")
          .values({
            digest,
            connection_id: connectionId,
            platform,
            created_at: createdAt,
            expires_at: expiresAt,
            used_at: null,
            report_digest: null,
          })
          .execute();
      }),

    async ticket(wanted) {
      const row = await query
        .selectFrom("client_script_tickets")
        .selectAll()
        .where("digest", "=", wanted)
        .executeTakeFirst();
      if (row === undefined) return undefined;
      const { digest, connection_id, platform, created_at, expires_at, used_at } = row;
      return {
        digest,
        connectionId: connection_id,
        platform,
        createdAt: created_at,
        expiresAt: expires_at,
        usedAt: used_at,
      };
    },

    async takeTicket(digest, { at, reportDigest }) {
      const result = await query
        .updateTable("client_script_tickets")
        .set({ used_at: at, report_digest: reportDigest })
        .where("digest", "=", digest)
        .where("used_at", "is", null)
        .executeTakeFirst();
      return result.numUpdatedRows > 0n;
    },

    async reporter(reportDigest) {
      const row = await query
        .selectFrom("client_script_tickets")
        .select("connection_id")
        .where("report_digest", "=", reportDigest)
        .executeTakeFirst();
      return row?.connection_id;
    },

    addReports: (connectionId, reports, most) =>
      transaction(async (trx) => {
        const { count } = await trx
          .selectFrom("client_script_reports")
          .select((eb) => eb.fn.countAll().as("count"))
          .where("connection_id", "=", connectionId)
          .executeTakeFirstOrThrow();
        const kept = reports.slice(0, Math.max(0, most - Number(count)));
        for (const { id, connectionId: _of, receivedAt, ...report } of kept) {
          await trx
            .insertInto("client_script_reports")
            .values({
              id,
              connection_id: connectionId,
              received_at: receivedAt,
              result: resultOf(report),
              report: JSON.stringify(report),
            })
            .execute();
        }
        return kept.length;
      }),

    async reportCounts(connectionIds) {
      const counts = new Map<string, ReportCounts & { connectionId: string }>();
      for (let start = 0; start < connectionIds.length; start += idsAtOnce) {
        const rows = await query
          .selectFrom("client_script_reports")
          .select((eb) => ["connection_id", "result", eb.fn.countAll().as("count")])
          .where("connection_id", "in", connectionIds.slice(start, start + idsAtOnce))
          .groupBy(["connection_id", "result"])
          .execute();
        for (const { connection_id: connectionId, result, count } of rows) {
          const before = counts.get(connectionId) ?? { connectionId, succeeded: 0, failed: 0, refused: 0 };
          counts.set(connectionId, { ...before, [result]: Number(count) });
        }
      }
      return [...counts.values()];
    },

    async reports(connectionId) {
      const rows = await query
        .selectFrom("client_script_reports")
        .selectAll()
        .where("connection_id", "=", connectionId)
        .orderBy("received_at")
        .orderBy("id")
        .execute();
      return rows.map(
        ({ id, connection_id, received_at, report }): KeptReport => ({
          id,
          connectionId: connection_id,
          receivedAt: received_at,
          ...JSON.parse(report),
        }),
      );
    },

    async connectionAt(address) {
      const row = await query
        .selectFrom("connections")
        .select("id")
        .where(address.includes(":") ? "ipv6" : "ipv4", "=", address)
        .where(sql<boolean>`finished = 0`)
        .where("ended_at", "is", null)
        .executeTakeFirst();
      return row?.id;
    },

    async prune(before) {
      await query
        .deleteFrom("client_script_tickets")
        .where("expires_at", "<", before.tickets)
        .where((eb) =>
          eb.not(
            eb.exists(
              eb
                .selectFrom("connections")
                .select("connections.id")
                .whereRef("connections.id", "=", "client_script_tickets.connection_id")
                .where("client_script_tickets.report_digest", "is not", null)
                .where((or) => or.or([or("ended_at", "is", null), or("ended_at", ">=", before.tickets)])),
            ),
          ),
        )
        .execute();
      await query.deleteFrom("client_script_reports").where("received_at", "<", before.reports).execute();
    },
  };
}

function resultOf({ outcome, exitCode }: Pick<KeptReport, "outcome" | "exitCode">): keyof ReportCounts {
  if (outcome === "refused") return "refused";
  return outcome === "ran" && exitCode === 0 ? "succeeded" : "failed";
}
