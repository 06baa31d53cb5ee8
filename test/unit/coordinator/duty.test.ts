import { describe, expect, it } from "vitest";
import { createDuty, type DutyOptions, type Round } from "../../../services/coordinator/duties/duty.ts";
import { FarmError } from "../../../services/domain/errors.ts";
import { createLogger } from "../../../services/platform/logging.ts";

/** Rows of duties in memory: one holder until it gives the row back. */
function dutyRows() {
  const holders = new Map<string, string>();
  let epoch = 0;
  return {
    holders,
    holdDuty(name: string, holder: string) {
      const current = holders.get(name);
      if (current !== undefined && current !== holder) return Promise.resolve(undefined);
      if (current === undefined) epoch += 1;
      holders.set(name, holder);
      return Promise.resolve({ epoch });
    },
    releaseDuty(name: string, holder: string) {
      if (holders.get(name) === holder) holders.delete(name);
      return Promise.resolve();
    },
  };
}

/** Rounds as they end, to wait on. */
function roundSignal() {
  const rounds: Round[] = [];
  const waiting: (() => void)[] = [];
  return {
    rounds,
    onRound: (round: Round): void => {
      rounds.push(round);
      for (const wake of waiting.splice(0)) wake();
    },
    async next(outcome: Round["outcome"]): Promise<void> {
      const from = rounds.length;
      while (!rounds.slice(from).some((round) => round.outcome === outcome)) await new Promise<void>((resolve) => waiting.push(resolve));
    },
  };
}

function optionsOf(store: DutyOptions["store"], holder: string, onRound: DutyOptions["onRound"]): DutyOptions {
  return { store, holder, holdMs: 10_000, logger: createLogger({ name: "test", level: "silent" }), onRound };
}

describe("a duty", () => {
  it("runs on one coordinator at a time and moves on when the holder stops", async () => {
    const store = dutyRows();
    const [firstSignal, secondSignal] = [roundSignal(), roundSignal()];
    const ran: string[] = [];
    const spec = (who: string) => ({ name: "sweep", intervalMs: 1, run: () => Promise.resolve(void ran.push(who)) });
    const first = createDuty(spec("first"), optionsOf(store, "one", firstSignal.onRound));
    const second = createDuty(spec("second"), optionsOf(store, "two", secondSignal.onRound));
    await first.start();
    await firstSignal.next("ran");
    await second.start();
    await secondSignal.next("not_held");
    expect(new Set(ran)).toEqual(new Set(["first"]));
    await first.stop();
    await secondSignal.next("ran");
    await second.stop();
    expect(store.holders.size).toBe(0);
  });

  it("goes on after a failed round and says why it failed", async () => {
    const signal = roundSignal();
    let tries = 0;
    const run = (): Promise<void> => {
      tries += 1;
      return tries === 1 ? Promise.reject(new FarmError("DATABASE_UNAVAILABLE")) : Promise.resolve();
    };
    const duty = createDuty({ name: "reaper", intervalMs: 1, run }, optionsOf(dutyRows(), "one", signal.onRound));
    await duty.start();
    await signal.next("ran");
    await duty.stop();
    expect(signal.rounds[0]).toEqual({ duty: "reaper", outcome: "failed", code: "DATABASE_UNAVAILABLE" });
  });

  it("runs at once when nudged", async () => {
    const signal = roundSignal();
    const duty = createDuty(
      { name: "relay", intervalMs: 3_600_000, run: () => Promise.resolve() },
      optionsOf(dutyRows(), "one", signal.onRound),
    );
    const first = signal.next("ran");
    await duty.start();
    await first;
    const second = signal.next("ran");
    duty.nudge();
    await second;
    await duty.stop();
    expect(signal.rounds.length).toBe(2);
  });

  it("can be stopped before it starts and twice, and stop waits for the running round", async () => {
    const gate = Promise.withResolvers<undefined>();
    const begun = Promise.withResolvers<undefined>();
    let isOver = false;
    const run = async (): Promise<void> => {
      begun.resolve(undefined);
      await gate.promise;
      isOver = true;
    };
    const duty = createDuty(
      { name: "prune", intervalMs: 1, run },
      optionsOf(dutyRows(), "one", () => undefined),
    );
    await duty.stop();
    await duty.start();
    await duty.start();
    await begun.promise;
    const stopped = duty.stop();
    gate.resolve(undefined);
    await stopped;
    expect(isOver).toBe(true);
    await duty.stop();
  });
});
