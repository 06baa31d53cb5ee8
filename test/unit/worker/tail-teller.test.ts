import { beforeEach, describe, expect, it } from "vitest";
import { LostAttempt } from "../../../services/gen/proto/vapfarm/v1/dispatch.ts";
import type { LostRun } from "../../../services/worker/supervise/runtime-log.ts";
import { createTailTeller, type TailTeller } from "../../../services/worker/supervise/tail-teller.ts";
import { createManualClock, type ManualClock } from "../../support/manual-clock.ts";

let clock: ManualClock;
let grown: LostRun[];
let said: string[];
let teller: TailTeller;

beforeEach(async () => {
  clock = createManualClock();
  grown = [];
  said = [];
  teller = createTailTeller({
    clock,
    grown: () => grown.splice(0),
    publish: (subject, payload) => said.push(`${clock.nowMs()} ${subject} ${LostAttempt.decode(payload).logTail}`),
    subjectOf: (attemptId) => `tail.${attemptId}`,
    soonMs: 100,
    intervalMs: 2_000,
  });
  await teller.start();
});

function write(logTail: string): void {
  grown = [{ attemptId: "a", logTail }];
  teller.onWritten();
}

describe("what a runtime writes", () => {
  it("is said soon, and what follows in a while, all of it at once", async () => {
    write("one");
    await clock.advance(99);
    expect(said).toEqual([]);
    await clock.advance(1);
    write("one two");
    await clock.advance(500);
    write("one two three");
    await clock.advance(5_000);
    expect(said).toEqual(["100 tail.a one", "2100 tail.a one two three"]);
  });

  it("is not said again while nothing is new, and what is no line of an attempt delays nothing", async () => {
    teller.onWritten();
    await clock.advance(10_000);
    write("one");
    await clock.advance(100);
    await clock.advance(60_000);
    expect(said).toEqual(["10100 tail.a one"]);
  });

  it("is not said before the start nor after the stop", async () => {
    write("one");
    await teller.stop();
    await clock.advance(10_000);
    write("two");
    await clock.advance(10_000);
    expect(said).toEqual([]);
    await teller.stop();
  });
});
