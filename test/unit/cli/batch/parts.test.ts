import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { batchRow, createJobBoard, foldJob, type JobBoard } from "../../../../services/cli/batch/board.ts";
import { mapBounded } from "../../../../services/cli/batch/bounded.ts";
import { type BatchPlan, planBatch } from "../../../../services/cli/batch/plan.ts";
import { partsOf } from "../../../../services/cli/batch/requests.ts";
import { exitCodeOfBatch } from "../../../../services/cli/batch/results.ts";
import { JobClass, JobEvent, JobProgress, SubmitRendersRequest } from "../../../../services/gen/proto/vapfarm/v1/farm.ts";

function planOf(renders: readonly object[], job: object = {}): BatchPlan {
  const defaults = { model: "demo", image: "a.png", prompt: "p", references: [{ media: "s3://b/c.mp4", prompt: "q" }] };
  const reading = planBatch(JSON.stringify({ defaults, renders, ...job }), "/w");
  if (reading.kind === "faulty") throw new TypeError(JSON.stringify(reading.faults));
  return reading.plan;
}
const hashes = new Map([["/w/a.png", "aa"]]);
const keysOf = (plan: BatchPlan, media = hashes, idempotencyKey?: string): readonly string[] =>
  partsOf(plan, { hashes: media, idempotencyKey }).map(({ request }) => request.idempotencyKey);

describe("the requests of a batch", () => {
  it("say what the file says, media by hash or address", () => {
    const plan = planOf([{ seed: 4, steps: 9, guidance_scale: 2.5, outputs: ["frames"] }], { priority: 3, job_class: "benchmark" });
    const [part] = partsOf(plan, { hashes, idempotencyKey: undefined });
    expect(part?.request).toMatchObject({ priority: 3, jobClass: JobClass.JOB_CLASS_BENCHMARK });
    expect(part?.request.renders[0]).toMatchObject({
      model: "demo",
      image: { sha256: "aa", uri: "" },
      references: [{ sha256: "", uri: "s3://b/c.mp4" }],
      referencePrompts: ["q"],
      seed: 4n,
      steps: 9,
      guidance: { scale: 2.5, dynamic: undefined },
    });
  });

  it("say whom to tell, with the secret that the file's file holds", () => {
    const plan = planOf([{ repeat: 1_001 }], { webhook: { url: "https://h.test/x", secretFile: "s.txt" } });
    expect(plan.job.webhook).toEqual({ url: "https://h.test/x", secret_file: "/w/s.txt" });
    const parts = partsOf(plan, { hashes, idempotencyKey: undefined, webhookSecret: "whsec_x" });
    expect(parts.map(({ request }) => [request.webhook?.url, request.webhook?.secret])).toEqual([
      ["https://h.test/x", "whsec_x"],
      ["https://h.test/x", "whsec_x"],
    ]);
  });

  it.each([
    [{ url: "http://h.test" }, "webhook.url", "https://"],
    [{ url: "https://h.test", secret: "x" }, "webhook.secret", "url, secret_file"],
  ])("are refused a webhook that is wrong: %j", (webhook, field, expected) => {
    const reading = planBatch(JSON.stringify({ renders: [{}], webhook }), "/w");
    const faults = reading.kind === "faulty" ? reading.faults : [];
    expect(faults.find((fault) => fault.field === field)?.expected).toContain(expected);
  });

  it("hold at most 1,000 renders each, in the order of the file", () => {
    const parts = partsOf(planOf([{ repeat: 1_500, seed: 0 }, { seed: 9_999 }]), { hashes, idempotencyKey: undefined });
    expect(parts.map(({ renders }) => renders.length)).toEqual([1_000, 501]);
    expect(parts.flatMap(({ request }) => request.renders.map(({ seed }) => seed))).toEqual([
      ...Array.from({ length: 1_500 }, (_, index) => BigInt(index)),
      9_999n,
    ]);
  });

  it("fit one message each, however long the prompts are", () => {
    const parts = partsOf(planOf([{ repeat: 900, prompt: "x".repeat(20_000) }]), { hashes, idempotencyKey: undefined });
    for (const { request } of parts) expect(SubmitRendersRequest.encode(request).finish().length).toBeLessThan(3.5 * 1024 ** 2);
    expect(parts.length).toBeGreaterThan(5);
  });

  it("carry a key that stays with the content and changes with it", () => {
    const plan = planOf([{ repeat: 1_001 }]);
    const keys = keysOf(plan);
    expect(new Set(keys).size).toBe(2);
    expect(keysOf(planOf([{ repeat: 1_001 }]))).toEqual(keys);
    expect(keysOf(planOf([{ repeat: 1_001, steps: 3 }]))).not.toEqual(keys);
    expect(keysOf(plan, new Map([["/w/a.png", "bb"]]))).not.toEqual(keys);
    for (const key of keys) expect(key).toMatch(/^batch-[0-9a-f]{48}-\d$/);
  });

  it("carry the caller's key when there is one", () => {
    expect(keysOf(planOf([{}]), hashes, "mine")).toEqual(["mine"]);
    expect(keysOf(planOf([{ repeat: 1_001 }]), hashes, "mine")).toEqual(["mine-0", "mine-1"]);
  });
});

describe("the progress of a batch", () => {
  const event = (kind: string, over: Partial<JobEvent> = {}): Parameters<typeof foldJob>[1] => ({
    update: { $case: "event", value: JobEvent.fromPartial({ kind, ...over }) },
  });
  const progress = (over: Partial<JobProgress>): Parameters<typeof foldJob>[1] => ({
    update: { $case: "progress", value: JobProgress.fromPartial(over) },
  });
  const after = (total: number, ...updates: readonly Parameters<typeof foldJob>[1][]): JobBoard =>
    updates.reduce(foldJob, createJobBoard(total));

  it("counts renders that ended, and shows what runs", () => {
    const board = after(
      4,
      event("task.started", { taskId: 1n, stage: "denoise", workerName: "w1" }),
      event("task.started", { taskId: 2n, stage: "prepare", workerName: "w2" }),
      event("render.succeeded", { renderPosition: 0 }),
      event("render.succeeded", { renderPosition: 0 }),
      event("render.failed", { renderPosition: 2 }),
      progress({ taskId: 1n, stage: "denoise", workerName: "w1", step: 5, steps: 20, remainingMs: 61_000 }),
      progress({ taskId: 9n, stage: "denoise", workerName: "w3", step: 1, steps: 20 }),
    );
    expect(batchRow([board])).toEqual({
      stage: "renders",
      done: 2,
      total: 4,
      fraction: 0.5,
      isRunning: true,
      detail: "2/4, 1 failed, denoise 5/20 on w1, 1:01 left, 1 more",
    });
  });

  it("takes the job's end for its only render's, and not for several", () => {
    expect(after(1, event("job.succeeded")).ended).toEqual(new Map([[0, "succeeded"]]));
    expect(after(2, event("job.failed")).ended).toEqual(new Map());
  });

  it.each([
    ["a job that is retried", event("job.retried"), new Map([[0, "succeeded"]])],
    ["a render that is retried", event("render.retried", { renderPosition: 2 }), new Map([[0, "succeeded"], [1, "failed"]])], // prettier-ignore
  ])("opens %s again", (_what, retried, ended) => {
    const ends = [
      event("render.succeeded", { renderPosition: 0 }),
      event("render.failed", { renderPosition: 1 }),
      event("render.cancelled", { renderPosition: 2 }),
    ];
    expect(after(3, ...ends, retried).ended).toEqual(ended);
  });

  it("adds up several jobs", () => {
    const row = batchRow([after(1, event("job.succeeded")), createJobBoard(3)]);
    expect([row.detail, row.fraction]).toEqual(["1/4", 0.25]);
  });
});

describe("the exit code of a batch", () => {
  it.each([
    [["succeeded", "succeeded"], 0],
    [["succeeded", "failed", "cancelled"], 1],
    [["succeeded", "cancelled"], 4],
    [["succeeded", "open"], 1],
  ] as const)("of %j is %i", (states, code) => {
    expect(exitCodeOfBatch(states.map((state) => ({ state })))).toBe(code);
  });
});

describe("bounded work", () => {
  it("keeps the order and the bound", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer()), fc.integer({ min: 1, max: 5 }), async (items, limit) => {
        let running = 0;
        let most = 0;
        const results = await mapBounded(items, limit, async (item) => {
          most = Math.max(most, (running += 1));
          await Promise.resolve();
          running -= 1;
          return item * 2;
        });
        expect(results).toEqual(items.map((item) => item * 2));
        expect(most).toBeLessThanOrEqual(limit);
      }),
    );
  });

  it("begins nothing after a failure, and waits for what had begun", async () => {
    const begun: number[] = [];
    const ended: number[] = [];
    const work = mapBounded([0, 1, 2, 3, 4], 2, async (item) => {
      begun.push(item);
      await Promise.resolve();
      if (item === 0) throw new TypeError("no");
      await Promise.resolve();
      ended.push(item);
    });
    await expect(work).rejects.toThrow("no");
    expect([begun, ended]).toEqual([[0, 1], [1]]);
  });
});
