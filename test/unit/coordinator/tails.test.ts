import { beforeEach, describe, expect, it } from "vitest";
import { createTailsDuty } from "../../../services/coordinator/duties/tails.ts";
import { FarmError } from "../../../services/domain/errors.ts";
import { LostAttempt } from "../../../services/gen/proto/vapfarm/v1/dispatch.ts";
import { createLogger } from "../../../services/platform/logging.ts";
import type { TailStream } from "../../../services/platform/nats/tail-stream.ts";

const idOf = (digit: number): string => `${String(digit).repeat(8)}-1111-4111-8111-111111111111`;
const [running, lost, done, silent] = [1, 2, 3, 4].map(idOf) as [string, string, string, string];
const { signal } = new AbortController();

let said: Map<string, Uint8Array>;
let kept: Map<string, string>;
let opened: number;
let isAway: boolean;

const stream: TailStream = {
  ensure: () => Promise.resolve(),
  names: () => (isAway ? Promise.reject(new FarmError("BROKER_UNAVAILABLE")) : Promise.resolve([...said.keys()])),
  last: (name) => Promise.resolve(said.get(name)),
  forget: (name) => Promise.resolve(void said.delete(name)),
};

const duty = () =>
  createTailsDuty({
    store: {
      tailNeeds: (ids) =>
        Promise.resolve(
          ids.filter((id) => [running, lost, silent].includes(id)).map((attemptId) => ({ attemptId, isRunning: attemptId === running })),
        ),
      keepTail: (attemptId, logTail) => {
        kept.set(attemptId, logTail);
        return Promise.resolve({ worker: "w" });
      },
      attemptOwners: (ids) =>
        Promise.resolve(ids.map((attemptId) => ({ attemptId, taskId: 7, jobId: "job", position: 0, renders: 1, traceparent: undefined }))),
    },
    openStream: () => {
      opened += 1;
      return Promise.resolve(stream);
    },
    intervalMs: 1,
    logger: createLogger({ name: "test", level: "silent" }),
    traceShare: 1,
  });

const say = (attemptId: string, logTail: string): void => void said.set(attemptId, LostAttempt.encode({ attemptId, logTail }).finish());

beforeEach(() => {
  said = new Map();
  kept = new Map();
  opened = 0;
  isAway = false;
});

describe("a round", () => {
  it("keeps what the lost said, leaves what runs, and forgets all that has ended", async () => {
    say(running, "still at it\n");
    say(lost, `its last words\0${"x".repeat(9_000)}\n`);
    say(done, "nobody's business\n");
    said.set(silent, Buffer.from([0xff]));
    said.set("no-attempt", new Uint8Array());
    await duty().run(1, signal);
    expect([...kept.keys()]).toEqual([lost]);
    expect(kept.get(lost)).toHaveLength(8_192);
    expect(kept.get(lost)).not.toContain("\0");
    expect([...said.keys()]).toEqual([running]);
  });

  it("opens the stream again after it was away", async () => {
    const tails = duty();
    await tails.run(1, signal);
    isAway = true;
    await expect(tails.run(1, signal)).rejects.toMatchObject({ code: "BROKER_UNAVAILABLE" });
    isAway = false;
    await tails.run(1, signal);
    expect(opened).toBe(2);
  });

  it("forgets a bounded number, and the next the rest", async () => {
    for (let index = 0; index < 250; index += 1) said.set(`gone-${index}`, new Uint8Array());
    const tails = duty();
    await tails.run(1, signal);
    expect(said.size).toBe(50);
    await tails.run(1, signal);
    expect(said.size).toBe(0);
  });
});
