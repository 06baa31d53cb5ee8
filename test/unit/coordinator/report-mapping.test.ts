import { describe, expect, it } from "vitest";
import { reportAskFromProto } from "../../../services/coordinator/dispatch/ask-mapping.ts";
import { AttemptReport, AttemptSuccess, ReportRequest } from "../../../services/gen/proto/vapfarm/v1/dispatch.ts";
import { MetricScore } from "../../../services/gen/proto/vapfarm/v1/stage.ts";

const attemptId = "00000000-0000-4000-8000-000000000000";
const score = MetricScore.create({ metric: "clip_score", metricVersion: 1, status: "ok", value: 0.25 });

function outcomeOf(reported: MetricScore | undefined) {
  const success = AttemptSuccess.create({ provider: "cpu", profile: "p", score: reported });
  const report = AttemptReport.create({ attemptId, outcome: { $case: "success", value: success }, deviceMs: 7 });
  const header = { protocolVersion: 1, sessionId: "s", sequence: 1n, farmEpoch: 1n };
  return reportAskFromProto(ReportRequest.create({ header, pool: "pool", reports: [report] })).reports[0];
}

describe("a report of success", () => {
  it("carries its score", () => {
    expect(outcomeOf(score)?.outcome).toMatchObject({ kind: "success", score: { metric: "clip_score", status: "ok", value: 0.25 } });
    expect(outcomeOf(undefined)?.outcome).not.toHaveProperty("score");
  });

  it("whose score is not well formed is a failure that says why, and is booked like any", () => {
    expect(outcomeOf({ ...score, value: NaN })).toMatchObject({
      deviceMs: 7,
      outcome: {
        kind: "failure",
        code: "STAGE_FAILED",
        message: "the score is not well formed: its value is not finite",
        abandoned: false,
      },
    });
  });
});
