import { expect, test } from "vitest";
import { withAttemptCode } from "../../src/core/attempt-code.ts";
import { clientReasonOf, errorTable, SallyportError } from "../../src/core/errors.ts";
import { openArrow } from "./arrow.ts";

test("whoever passed the sign-in and has an address that nobody can have is told the attempt's code, and the attempt why", async () => {
  const refused: unknown[][] = [];
  await using arrow = await openArrow({
    range: "10.42.0.0/20",
    properties: { conn_ip: "192.0.2.77" },
    refusedAfterwards: async (...told) => void refused.push(told),
  });
  const told = await arrow.ask("a");
  const [[attemptId, why] = []] = refused;
  const clientReason = withAttemptCode(clientReasonOf("address-invalid"), String(attemptId));
  expect(told).toMatchObject({ refused: { code: "address-invalid", clientReason, attemptId } });
  expect(why).toMatchObject({
    code: "address-invalid",
    reason: expect.stringContaining("conn_ip 192.0.2.77"),
    clientReason,
  });
});

test("whom the network has no time for is told to come back, and has no address until then", async () => {
  await using arrow = await openArrow({
    range: "10.42.0.0/20",
    letIntoNetwork: () => Promise.reject(new SallyportError("too-busy", "too many changes wait")),
  });
  expect(await arrow.ask("a")).toMatchObject({ refused: { code: "too-busy", retryAfterSeconds: 5 } });
  expect(await arrow.store.ledger.unfinished({ nodeNumber: 0 })).toEqual([]);
  // Whoever is woken by that reads in the log what to do.
  const { next } = errorTable["too-busy"];
  expect(arrow.warned).toMatchObject([{ fields: { code: "too-busy", next }, message: "refused" }]);
});
