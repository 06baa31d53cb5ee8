import { describe, expect, it } from "vitest";
import { createAnnouncer } from "../../../services/coordinator/dispatch/announcer.ts";
import type { Aftermath } from "../../../services/coordinator/store/store-contract.ts";
import { WorkerSignal } from "../../../services/gen/proto/vapfarm/v1/dispatch.ts";
import { createLogger } from "../../../services/platform/logging.ts";

type LookUp = { readonly pool: string; readonly shape: string; readonly limit: number };

/** An announcer over idle workers that the test chooses, and what it sent. */
function announcing(idle: (lookUp: LookUp) => readonly string[]) {
  const lookUps: LookUp[] = [];
  const sent: string[] = [];
  const touched: string[] = [];
  const waiting: (() => void)[] = [];
  const counted: Aftermath[] = [];
  const announcer = createAnnouncer({
    store: {
      idleWorkers(pool, shape, limit) {
        lookUps.push({ pool, shape, limit });
        for (const wake of waiting.splice(0)) wake();
        return Promise.resolve(idle({ pool, shape, limit }).slice(0, limit));
      },
    },
    broker: { publish: (subject, payload) => void sent.push(`${subject} ${WorkerSignal.decode(payload).kind?.$case ?? ""}`) },
    subjects: { worker: (workerId) => workerId },
    hub: { touch: (jobIds) => void touched.push(...jobIds) },
    logger: createLogger({ name: "test", level: "silent" }),
    secondLookMs: 1,
    onWaiting: () => undefined,
    onEvents: () => undefined,
    onAftermath: (aftermath) => counted.push(aftermath),
  });
  const nextLookUp = (): Promise<void> => new Promise((resolve) => waiting.push(resolve));
  return { announcer, lookUps, sent, touched, counted, nextLookUp };
}

const ready = (shape: string, count: number) => ({ ready: [{ pool: "p", shape, count }], touchedJobIds: ["job"] });
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("the announcer", () => {
  it("adds up what several commits made ready and wakes at most that many workers", async () => {
    const { announcer, lookUps, sent, touched, counted } = announcing(() => ["a", "b", "c", "d"]);
    const aftermaths = [ready("denoise/x", 1), ready("denoise/x", 2), ready("prepare/-", 1)];
    announcer.announce(aftermaths);
    await turn();
    expect(lookUps).toEqual([
      { pool: "p", shape: "denoise/x", limit: 3 },
      { pool: "p", shape: "prepare/-", limit: 1 },
    ]);
    expect(sent).toEqual(["a wake", "b wake", "c wake", "a wake"]);
    expect(touched).toEqual(["job"]);
    expect(counted).toEqual(aftermaths);
  });

  it("looks a second time for what found no idle worker, and not again", async () => {
    const { announcer, lookUps, sent, nextLookUp } = announcing(({ limit }) => (limit === 2 ? ["a"] : []));
    announcer.announce([ready("denoise/x", 2)]);
    await nextLookUp();
    await turn();
    expect(lookUps.map(({ limit }) => limit)).toEqual([2, 1]);
    expect(sent).toEqual(["a wake"]);
  });

  it("tells workers of levels at once", () => {
    const { announcer, sent } = announcing(() => []);
    announcer.announce([{ ready: [], touchedJobIds: [], pushes: [{ workerId: "w", attemptId: "x", level: "unwanted" }] }]);
    expect(sent).toEqual(["w level"]);
  });
});
