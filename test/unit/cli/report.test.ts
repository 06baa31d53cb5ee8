import { describe, expect, it } from "vitest";
import { printReport, reportOf } from "../../../services/cli/render/report.ts";
import { Job, JobState } from "../../../services/gen/proto/vapfarm/v1/farm.ts";

function printed(job: Partial<Job>): readonly string[] {
  const lines: string[] = [];
  const take = (line = ""): void => void lines.push(line);
  const output = { line: take, note: take, json: () => undefined, isTty: false, errorStream: process.stderr };
  printReport(output as unknown as Parameters<typeof printReport>[0], reportOf(Job.create(job), {}), false);
  return lines;
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
});
