import { describe, expect, it } from "vitest";
import type { RenderRequest, ScoreRequest } from "../../../services/domain/render-request.ts";
import { resolveScores, scoreViolations, type MetricsFacts } from "../../../services/domain/score-rules.ts";

const request: RenderRequest = {
  model: "demo",
  image: { sha256: "" },
  prompt: "",
  negativePrompt: undefined,
  references: [],
  referencePrompts: [],
  seed: undefined,
  steps: undefined,
  guidance: undefined,
  scheduler: "unspecified",
  frameSelection: "unspecified",
  outputs: [],
  width: undefined,
  height: undefined,
  frames: undefined,
};
const one: MetricsFacts = { name: "one", metrics: ["temporal_flickering", "clip_score"] };
const other: MetricsFacts = { name: "other", metrics: ["temporal_flickering"] };
const known = (...facts: readonly MetricsFacts[]) => new Map(facts.map((each) => [each.name, each]));
const asking = (scores: ScoreRequest): RenderRequest => ({ ...request, scores });
const fieldsOf = (asked: RenderRequest, ...facts: readonly MetricsFacts[]): readonly string[] =>
  scoreViolations(asked, known(...facts)).map(({ field, reason }) => `${field} ${reason}`);

describe("scores that are asked for", () => {
  it.each([
    ["nothing of a farm with one repository", { metricsModel: "", metrics: [] }, [one], []],
    ["a metric that it can compute", { metricsModel: "one", metrics: ["clip_score"] }, [one, other], []],
    ["no repository of several", { metricsModel: "", metrics: [] }, [one, other], ["scores.metrics_model is not named"]],
    ["a repository of a farm that has none", { metricsModel: "", metrics: [] }, [], ["scores.metrics_model is not named"]],
    ["an unknown one", { metricsModel: "x", metrics: [] }, [one], ['scores.metrics_model "x" is no metric repository of this farm']],
    [
      "a metric whose networks are missing",
      { metricsModel: "other", metrics: ["clip_score"] },
      [other],
      ["scores.metrics other lacks the networks of clip_score"],
    ],
    ["a metric twice", { metricsModel: "one", metrics: ["clip_score", "clip_score"] }, [one], ["scores.metrics names clip_score again"]],
    [
      "a metric of a later release",
      { metricsModel: "one", metrics: ["unrecognized"] },
      [one],
      ["scores.metrics[0] has a value that this farm does not know"],
    ],
  ] as const)("%s", (...[, scores, facts, expected]) => {
    expect(fieldsOf(asking(scores), ...facts)).toEqual(expected);
  });

  it("are of the only repository and all that it can compute, unless they say more", () => {
    expect(resolveScores(asking({ metricsModel: "", metrics: [] }), known(one)).scores).toEqual({
      metricsModel: "one",
      metrics: one.metrics,
    });
    const named = asking({ metricsModel: "other", metrics: ["temporal_flickering"] });
    expect(resolveScores(named, known(one, other))).toEqual(named);
    expect(resolveScores(request, known(one))).toBe(request);
  });
});

it("panels need a target", () => {
  expect(fieldsOf({ ...request, outputs: ["panels"] })).toEqual(["target is missing"]);
  expect(fieldsOf({ ...request, outputs: ["panels"], target: { sha256: "a" } })).toEqual([]);
});
