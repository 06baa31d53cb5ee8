import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FarmError } from "../../../services/domain/errors.ts";
import { createLogger } from "../../../services/platform/logging.ts";
import { createSampler, type Sampler } from "../../../services/platform/sample.ts";

let nowMs: number;
let sampler: Sampler;
let reads: PromiseWithResolvers<number>[];
let shown: number[];

beforeEach(() => {
  nowMs = 1_000_000;
  reads = [];
  shown = [];
  sampler = createSampler({ clock: () => nowMs, logger: createLogger({ name: "test", level: "silent" }), leastAgeMs: 5_000 });
});

afterEach(() => vi.useRealTimers());

const add = (name: string) =>
  sampler.add({
    name,
    read() {
      const read = Promise.withResolvers<number>();
      reads.push(read);
      return read.promise;
    },
    show: (value) => shown.push(value),
    hide: () => shown.splice(0),
  });

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("a sample", () => {
  it("is read once for all that ask while it is read, and not again before it is old enough", async () => {
    const sample = add("a");
    const asked = [sample.refresh(), sample.refresh(), sample.refresh()];
    await turn();
    expect(reads).toHaveLength(1);
    reads[0]?.resolve(7);
    await Promise.all(asked);
    nowMs += 4_999;
    await sample.refresh();
    expect([reads.length, shown, sample.ageMs()]).toEqual([1, [7], 4_999]);
    nowMs += 1;
    const again = sample.refresh();
    await turn();
    reads[1]?.resolve(8);
    await again;
    expect(shown).toEqual([7, 8]);
  });

  it("is read the more seldom the longer it takes: a twentieth of the time", async () => {
    const sample = add("slow");
    const first = sample.refresh();
    await turn();
    nowMs += 1_000;
    reads[0]?.resolve(1);
    await first;
    nowMs += 18_999;
    await sample.refresh();
    expect(reads).toHaveLength(1);
    nowMs += 1;
    void sample.refresh();
    await turn();
    expect(reads).toHaveLength(2);
  });

  it("is read once a minute however long it takes, and soon again when it failed", async () => {
    const sample = add("very slow");
    const first = sample.refresh();
    await turn();
    nowMs += 7_000;
    reads[0]?.resolve(1);
    await first;
    nowMs += 60_000;
    const second = sample.refresh();
    await turn();
    expect(reads).toHaveLength(2);
    nowMs += 7_000;
    reads[1]?.reject(new FarmError("DATABASE_UNAVAILABLE"));
    await second;
    nowMs += 5_000;
    void sample.refresh();
    await turn();
    expect(reads).toHaveLength(3);
  });

  it("keeps its values when it cannot be read, and is read again when it is due", async () => {
    const sample = add("a");
    const first = sample.refresh();
    await turn();
    reads[0]?.reject(new FarmError("DATABASE_UNAVAILABLE"));
    await first;
    expect([shown, sample.ageMs()]).toEqual([[], 0]);
    nowMs += 5_000;
    expect(sample.ageMs()).toBe(5_000);
    const again = sample.refresh();
    await turn();
    reads[1]?.resolve(2);
    await again;
    expect([shown, sample.ageMs()]).toEqual([[2], 0]);
  });

  it("shows its values for two minutes at most while it cannot be read, and again once it can", async () => {
    const sample = add("a");
    const failed = async (afterMs: number): Promise<void> => {
      nowMs += afterMs;
      const asked = sample.refresh();
      await turn();
      reads.at(-1)?.reject(new FarmError("DATABASE_UNAVAILABLE"));
      await asked;
    };
    const first = sample.refresh();
    await turn();
    reads[0]?.resolve(7);
    await first;
    await failed(120_000);
    expect([shown, sample.ageMs()]).toEqual([[7], 120_000]);
    await failed(5_001);
    expect([shown, sample.ageMs()]).toEqual([[], 125_001]);
    nowMs += 5_000;
    const again = sample.refresh();
    await turn();
    reads.at(-1)?.resolve(8);
    await again;
    expect([shown, sample.ageMs()]).toEqual([[8], 0]);
  });

  it("is waited for three seconds, and then not again until it could be read", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const sample = add("a");
    let scrapes = 0;
    const scrape = async (): Promise<void> => {
      await sample.refresh();
      scrapes += 1;
    };
    const late = scrape();
    await turn();
    await vi.advanceTimersByTimeAsync(2_999);
    expect(scrapes).toBe(0);
    await vi.advanceTimersByTimeAsync(1);
    await late;
    await scrape();
    reads[0]?.reject(new FarmError("DATABASE_UNAVAILABLE"));
    await turn();
    nowMs += 5_000;
    await scrape();
    await turn();
    expect([scrapes, reads.length]).toEqual([3, 2]);
    reads[1]?.resolve(7);
    await turn();
    nowMs += 5_000;
    const again = scrape();
    await turn();
    expect([scrapes, shown]).toEqual([3, [7]]);
    reads[2]?.resolve(8);
    await again;
    expect(shown).toEqual([7, 8]);
  });

  it("waits for another's read: one after the other", async () => {
    const [one, two] = [add("one"), add("two")];
    const asked = [one.refresh(), two.refresh()];
    await turn();
    expect(reads).toHaveLength(1);
    reads[0]?.resolve(1);
    await turn();
    expect(reads).toHaveLength(2);
    reads[1]?.resolve(2);
    await Promise.all(asked);
    expect(shown).toEqual([1, 2]);
  });
});
