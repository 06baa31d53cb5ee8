import fc from "fast-check";
import { expect, test } from "vitest";
import { decideReap, type Lapses } from "../../../services/domain/reaping.ts";

const limits = { leaseMs: 15_000, canaryGapMs: 3_000 };
const proven = { silentMs: 900, unbrokenMs: 15_000 };
const sessions = (count: number): readonly string[] => Array.from({ length: count }, (_unused, index) => `s${index}`);
const lapses = (live: number, lapsed: number): Lapses => ({
  canary: proven,
  pools: [{ pool: "p", live, lapsed: sessions(lapsed) }],
});

test("without a lapse there is nothing to do, whatever the canary says", () => {
  expect(decideReap({ ...lapses(5, 0), canary: undefined }, limits)).toEqual({ kind: "nothing" });
});

test.each([
  ["never beat", undefined, "no canary has beaten yet"],
  ["is silent", { silentMs: 3_001, unbrokenMs: 60_000 }, "the canary has been silent for 3001 ms"],
  ["has not beaten for a lease", { silentMs: 0, unbrokenMs: 14_999 }, "the beat path is proven for 14999 ms of 15000 ms"],
])("reaping is held back while the canary %s", (_name, canary, reason) => {
  expect(decideReap({ ...lapses(5, 1), canary }, limits)).toEqual({ kind: "held_back", reason });
});

test("a few lapsed workers are all reaped, even when they are the whole pool", () => {
  expect(decideReap(lapses(2, 2), limits)).toEqual({ kind: "reap", sessionIds: ["s0", "s1"], massLapse: false });
  expect(decideReap(lapses(30, 10), limits)).toMatchObject({ sessionIds: sessions(10), massLapse: false });
});

test("when much of a pool lapses, those that lapsed first are reaped a few at a time", () => {
  expect(decideReap(lapses(30, 11), limits)).toEqual({ kind: "reap", sessionIds: ["s0", "s1", "s2"], massLapse: true });
  expect(decideReap(lapses(3, 3), limits)).toEqual({ kind: "reap", sessionIds: ["s0"], massLapse: true });
});

test("one pool's mass lapse does not slow another pool down", () => {
  const pools = [
    { pool: "a", live: 40, lapsed: sessions(40) },
    { pool: "b", live: 9, lapsed: ["x"] },
  ];
  expect(decideReap({ canary: proven, pools }, limits)).toEqual({
    kind: "reap",
    sessionIds: ["s0", "s1", "s2", "s3", "x"],
    massLapse: true,
  });
});

test("whoever is reaped had lapsed, and some progress is always made", () => {
  const pool = fc.record({ live: fc.integer({ min: 0, max: 200 }), lapsed: fc.integer({ min: 0, max: 200 }) });
  fc.assert(
    fc.property(fc.array(pool, { maxLength: 4 }), (sizes) => {
      const pools = sizes.map(({ live, lapsed }, index) => ({
        pool: `${index}`,
        live: live + lapsed,
        lapsed: sessions(lapsed).map((id) => `${index}/${id}`),
      }));
      const all = pools.flatMap(({ lapsed }) => lapsed);
      const decision = decideReap({ canary: proven, pools }, limits);
      if (decision.kind !== "reap") {
        expect(all).toEqual([]);
        return;
      }
      expect(decision.sessionIds.length).toBeGreaterThan(0);
      expect(decision.sessionIds.every((id) => all.includes(id))).toBe(true);
    }),
  );
});
