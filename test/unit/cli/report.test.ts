import { describe, expect, it } from "vitest";
import { plain } from "../../../services/cli/colour.ts";
import { printReport, reportOf } from "../../../services/cli/render/report.ts";
import { Job, JobState, TaskSummary } from "../../../services/gen/proto/vapfarm/v1/farm.ts";

function printed(job: Partial<Job>): readonly string[] {
  const lines: string[] = [];
  const take = (line = ""): void => void lines.push(line);
  const screen = { isTerminal: true, columns: () => 60, rows: () => 20, onResize: () => () => undefined };
  const output = { line: take, note: take, json: () => undefined, paint: plain, screen, isTty: false, errorStream: process.stderr };
  printReport(output as unknown as Parameters<typeof printReport>[0], reportOf(Job.create(job), {}), false);
  return lines.flatMap((text) => text.split("\n"));
}

const ended = { jobId: "a", state: JobState.JOB_STATE_FAILED, createTime: new Date(0), endTime: new Date(2_000) };

describe("the report of a job", () => {
  it("tells the seed of its one render", () => {
    const job = { ...ended, render: Job.fromPartial({ render: { seed: 7n } }).render };
    expect(printed(job)[0]).toBe("job a failed after 2.00 s, seed 7");
  });

  it("counts the renders of a batch, which has no one seed", () => {
    const renderCounts = { total: 60, queued: 0, running: 0, succeeded: 58, failed: 2, cancelled: 0 };
    expect(printed({ ...ended, renderCounts })[0]).toBe("job a failed after 2.00 s, 58 of 60 renders succeeded");
  });

  it("shows its stages in a table that fits the terminal", () => {
    const label = "negative prompt, reference 1 negative prompt";
    const task = { stage: "text_encode", label, computeMs: 1_200, loadMs: 300, attempts: 1, workerName: "worker-1", provider: "cpu" };
    const lines = printed({ ...ended, tasks: [TaskSummary.create(task)] });
    expect(lines.every((line) => line.length <= 60)).toBe(true);
    expect(lines.join("\n")).toMatch(/stage +of +compute +load/);
    expect(lines.join("\n")).toMatch(/text_encode +neg/);
  });
});
