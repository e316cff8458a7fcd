import assert from "node:assert/strict";
import fc from "fast-check";
import { test } from "vitest";
import { ByteCounter } from "../../../src/drivers/wireguard/byte-counter.ts";

const step = fc.record({
  what: fc.constantFrom("pass", "zeroed", "restarted"),
  bytes: fc.integer({ min: 1, max: 1e6 }),
});

test("the bytes since the connection began are counted, however often the peer's own counter begins again", () => {
  fc.assert(
    fc.property(fc.nat(1e6), fc.array(step), (before, steps) => {
      const counter = new ByteCounter();
      let raw = before;
      counter.read({ bytesIn: raw, bytesOut: raw });
      counter.begin();
      let passed = 0;
      for (const { what, bytes } of steps) {
        if (what === "restarted") {
          counter.restarted();
          raw = 0;
        } else if (what === "zeroed") {
          // Noticed by what is read: it has to be less than before.
          if (raw === 0) continue;
          raw = 0;
        } else {
          raw += bytes;
          passed += bytes;
        }
        counter.read({ bytesIn: raw, bytesOut: raw });
        assert.deepEqual(counter.total, { bytesIn: passed, bytesOut: passed });
        // What is remembered over our own end says the same.
        const next = new ByteCounter();
        next.read({ bytesIn: raw, bytesOut: raw });
        next.base = counter.base;
        assert.deepEqual(next.total, counter.total);
      }
    }),
  );
});
