/**
 * Lets in only devices that the inventory knows, and tells it when they are gone. The service answers
 * GET /devices/ID with 200 or 404, and takes note of PUT and DELETE /online/ID.
 */
import { defineHook, deny, type HookEvent } from "@sallyport/sdk";

/** Hooks have no settings: change it here, then reload. */
const inventory = "https://inventory.example.org";

export default defineHook(async (event, ctx) => {
  const device = encodeURIComponent(event.connectionId);
  if (event.event === "D") {
    await ask("DELETE", `/online/${device}`, event, ctx.signal);
    ctx.log(`${event.userId} is gone after ${event.durationSeconds} s (${event.disconnectReason})`);
    return;
  }
  const known = await ask("GET", `/devices/${device}`, event, ctx.signal);
  if (known === 404) {
    const reason = `the inventory does not know ${event.connectionId} of ${event.userId}`;
    return deny({ reason, clientReason: "Your device is not in the inventory. Call 1234." });
  }
  await ask("PUT", `/online/${device}`, event, ctx.signal);
  return;
});

/** An error is no answer: a veto refuses because of it, and a disconnect is told again later. */
async function ask(method: string, path: string, event: HookEvent, signal: AbortSignal): Promise<number> {
  const headers = { "Idempotency-Key": event.eventId };
  const response = await fetch(inventory + path, { method, headers, signal });
  if (response.ok || (method === "GET" && response.status === 404)) return response.status;
  throw new Error(`the inventory answered ${response.status} to ${method} ${path}`);
}
