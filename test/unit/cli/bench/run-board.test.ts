import { describe, expect, it } from "vitest";
import { emptyBoard, foldRun, leftMs, type RunBoard, runText, stageRows } from "../../../../services/cli/bench/run-board.ts";
import { plain } from "../../../../services/cli/colour.ts";
import { GetRunResponse, Run } from "../../../../services/gen/proto/vapfarm/v1/bench.ts";
import { JobEvent, JobProgress, type WatchJobResponse } from "../../../../services/gen/proto/vapfarm/v1/farm.ts";

function event(kind: string, change: Partial<JobEvent> = {}): WatchJobResponse {
  return { update: { $case: "event", value: JobEvent.create({ kind, taskId: 1n, stage: "denoise", workerName: "w", ...change }) } };
}

function board(...events: readonly WatchJobResponse[]): RunBoard {
  return events.reduce(foldRun, emptyBoard);
}

const run = Run.create({ runId: "r", suiteName: "benchmark", model: "demo", state: "running", itemCount: 4, succeededCount: 1, failedCount: 1, endedScores: 2, scoreCount: 4, createTime: new Date(0) }); // prettier-ignore

describe("how far a run is", () => {
  it("is told by stage: what runs, how many are done and how long each took", () => {
    const progress = JobProgress.create({ taskId: 2n, step: 3, steps: 10 });
    const rows = stageRows(
      board(
        event("task.started"),
        event("task.succeeded", { computeMs: 1000 }),
        event("task.started", { taskId: 2n }),
        { update: { $case: "progress", value: progress } },
        event("task.started", { taskId: 3n }),
        event("task.succeeded", { taskId: 3n, computeMs: 3000 }),
      ),
    );
    expect(rows).toEqual([{ stage: "denoise", running: 1, done: 2, meanMs: 2000, detail: "step 3/10 on w" }]);
  });

  it("forgets a task that is tried again, and keeps one that failed for good", () => {
    const after = board(event("task.started"), event("task.retried"), event("task.started"), event("task.failed", { message: "no\u001b[2J memory", renderPosition: 3 })); // prettier-ignore
    expect([after.running.size, after.failureCount]).toEqual([0, 1]);
    const picture = {
      answer: GetRunResponse.create({ run }),
      board: after,
      now: new Date(60_000),
      since: { time: new Date(0), fraction: 0 },
    };
    const text = runText(picture, { paint: plain, width: undefined });
    expect(text).toContain("1 task has failed for good:\n  render 3, denoise: no [2J memory");
    expect(text).toContain("renders 1/4 succeeded, 1 failed, 2 open; scores 2/4");
    expect(text).toContain("running, 1m, about 1m left");
  });

  it("says nothing of the time left before anything was gained, nor after the end", () => {
    const picture = {
      answer: GetRunResponse.create({ run }),
      board: emptyBoard,
      now: new Date(5),
      since: { time: new Date(0), fraction: 0.5 },
    };
    expect(leftMs(picture)).toBeUndefined();
    const ended = GetRunResponse.create({ run: { ...run, endTime: new Date(1) } });
    expect(leftMs({ ...picture, answer: ended, since: { time: new Date(0), fraction: 0 } })).toBeUndefined();
  });
});
