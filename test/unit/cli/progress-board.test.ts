import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Board, type BoardUpdate, createBoard, stageRows, updateBoard } from "../../../services/cli/render/progress-board.ts";

const task = (taskId: string, stage: string, isDone = false) => ({ taskId, stage, label: taskId, isDone, isReused: isDone });
const board = createBoard([task("1", "denoise"), task("2", "text_encode"), task("3", "text_encode"), task("4", "prepare", true)]);

function after(...updates: readonly BoardUpdate[]): Board {
  return updates.reduce(updateBoard, board);
}

function rowOf(state: Board, stage: string) {
  return stageRows(state).find((row) => row.stage === stage);
}

const progress = (taskId: string, phase: string, [step, steps]: readonly [number, number]): BoardUpdate => ({
  kind: "progress",
  taskId,
  phase,
  step,
  steps,
  remainingMs: 14_000,
});

describe("the progress board", () => {
  it("has one row per stage in the order of a render", () => {
    expect(stageRows(board).map(({ stage, total }) => [stage, total])).toEqual([
      ["prepare", 1],
      ["text_encode", 2],
      ["denoise", 1],
    ]);
  });

  it("says that a stage whose results came from an earlier render is reused", () => {
    expect(rowOf(board, "prepare")).toMatchObject({ done: 1, fraction: 1, detail: "reused" });
  });

  it("shows denoise steps, the time left and the worker", () => {
    const state = after({ kind: "started", taskId: "1", workerName: "worker-2" }, progress("1", "compute", [5, 20]));
    expect(rowOf(state, "denoise")).toMatchObject({ fraction: 0.25, isRunning: true, detail: "step 5/20, 0:14 left, on worker-2" });
  });

  it("never goes back when a task enters another phase", () => {
    const state = after(progress("1", "decode", [3, 4]), progress("1", "mp4", [1, 4]));
    expect(rowOf(state, "denoise")?.fraction).toBe(0.75);
  });

  it("does not take a phase of one step for progress", () => {
    expect(rowOf(after(progress("1", "load", [1, 1])), "denoise")?.fraction).toBe(0);
  });

  it("begins a task anew when it is tried again", () => {
    const state = after(progress("1", "denoise", [15, 20]), { kind: "retried", taskId: "1" });
    expect(rowOf(state, "denoise")).toMatchObject({ fraction: 0, isRunning: false, detail: "waits" });
  });

  it("adds the seconds of a stage's tasks once all are done", () => {
    const done = (taskId: string, computeMs: number): BoardUpdate => ({ kind: "succeeded", taskId, computeMs });
    expect(rowOf(after(done("2", 1200)), "text_encode")?.detail).toBe("1/2, waits");
    expect(rowOf(after(done("2", 1200), done("3", 300)), "text_encode")?.detail).toBe("2/2, 1.50 s");
  });

  it("ignores what comes late, doubled or about unknown tasks", () => {
    const done: BoardUpdate = { kind: "succeeded", taskId: "1", computeMs: 5 };
    const state = after(done);
    expect(stageRows(after(done, progress("1", "denoise", [1, 20]), done, { kind: "succeeded", taskId: "99", computeMs: 1 }))).toEqual(
      stageRows(state),
    );
  });

  it("keeps every fraction between 0 and 1 whatever arrives", () => {
    const taskId = fc.constantFrom("1", "2", "3", "4", "5");
    const update: fc.Arbitrary<BoardUpdate> = fc.oneof(
      fc.record({ kind: fc.constant("started" as const), taskId, workerName: fc.string() }),
      fc.record({ kind: fc.constant("succeeded" as const), taskId, computeMs: fc.nat() }),
      fc.record({ kind: fc.constant("retried" as const), taskId }),
      fc.record({
        kind: fc.constant("progress" as const),
        taskId,
        phase: fc.string(),
        step: fc.nat(),
        steps: fc.nat(),
        remainingMs: fc.nat(),
      }),
    );
    fc.assert(
      fc.property(fc.array(update), (updates) => {
        for (const { fraction } of stageRows(after(...updates))) {
          expect(fraction).toBeGreaterThanOrEqual(0);
          expect(fraction).toBeLessThanOrEqual(1);
        }
      }),
    );
  });
});
