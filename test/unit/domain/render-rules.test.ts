import { describe, expect, it } from "vitest";
import { completeRender, type ModelFacts, type RenderRequest, type SubmitRequest } from "../../../services/domain/render-request.ts";
import { parseCogvideoxFamily } from "../../../services/domain/vap/schedulers/cogvideox-family.ts";
import { parseFlowFamily } from "../../../services/domain/vap/schedulers/flow-config.ts";
import { maxTextCharacters, type RuleFacts, violationsOf } from "../../../services/domain/render-rules.ts";
import { unipcConfig } from "../../support/flow-scheduler-config.ts";
import { releasedSchedulerConfig } from "../../support/scheduler-config.ts";

const image = "a".repeat(64);
const clip = "b".repeat(64);
const shortClip = "c".repeat(64);
const model: ModelFacts = {
  name: "demo",
  width: 64,
  height: 48,
  frames: 17,
  maxReferences: 3,
  hasDynamicGuidance: true,
  schedulers: parseCogvideoxFamily(releasedSchedulerConfig),
  defaults: { steps: 50, guidanceScale: 6, dynamicGuidance: true, negativePrompt: "worst quality" },
};
const wanModel: ModelFacts = {
  ...model,
  name: "wan",
  maxReferences: 1,
  hasDynamicGuidance: false,
  schedulers: parseFlowFamily(unipcConfig),
  defaults: { ...model.defaults, guidanceScale: 5, dynamicGuidance: false },
};
const facts: RuleFacts = {
  models: new Map([
    ["demo", model],
    ["wan", wanModel],
  ]),
  uploads: new Map([
    [image, { kind: "image", frames: 1 }],
    [clip, { kind: "video", frames: 40 }],
    [shortClip, { kind: "video", frames: 16 }],
  ]),
  now: new Date("2026-01-01T00:00:00Z"),
};
const render: RenderRequest = {
  model: "demo",
  image: { sha256: image },
  prompt: "a cat",
  negativePrompt: undefined,
  references: [{ sha256: clip }],
  referencePrompts: ["a dog"],
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
const submit: SubmitRequest = {
  render,
  idempotencyKey: "",
  jobClass: "unspecified",
  priority: 0,
  deadline: undefined,
  reuse: "unspecified",
};

function found(change: Partial<RenderRequest>): readonly { field: string; code: string }[] {
  return violationsOf({ ...submit, render: { ...render, ...change } }, facts).map(({ field, code }) => ({ field, code }));
}

function foundInJob(change: Partial<SubmitRequest>): readonly string[] {
  return violationsOf({ ...submit, ...change }, facts).map(({ field }) => field);
}

const wrongRenders: readonly (readonly [string, Partial<RenderRequest>, string, string])[] = [
  ["an unknown model", { model: "other" }, "render.model", "MODEL_UNKNOWN"],
  ["no model", { model: "" }, "render.model", "MODEL_UNKNOWN"],
  ["no image", { image: undefined }, "render.image", "FIELD_INVALID"],
  ["an image that is no hash", { image: { sha256: "x" } }, "render.image", "FIELD_INVALID"],
  ["an image that was never uploaded", { image: { sha256: "d".repeat(64) } }, "render.image", "MEDIA_UNKNOWN"],
  ["a reference that was never uploaded", { references: [{ sha256: "d".repeat(64) }] }, "render.references[0]", "MEDIA_UNKNOWN"],
  ["a reference that is an image", { references: [{ sha256: image }] }, "render.references[0]", "FIELD_INVALID"],
  ["a scheduler of another variant", { scheduler: "unipc" }, "render.scheduler", "FIELD_INVALID"],
  ["CogVideoX's scheduler for Wan", { model: "wan", scheduler: "dpm" }, "render.scheduler", "FIELD_INVALID"],
  ["dynamic guidance of a model that has none", { model: "wan", guidance: { dynamic: true } }, "render.guidance.dynamic", "FIELD_INVALID"],
  [
    "two references of a model that takes one",
    { model: "wan", references: [{ sha256: clip }, { sha256: clip }], referencePrompts: ["x", "y"] },
    "render.references",
    "FIELD_INVALID",
  ],
  ["two prompts for the one reference", { model: "wan", referencePrompts: ["x", "y"] }, "render.reference_prompts", "FIELD_INVALID"],
  ["no reference", { references: [], referencePrompts: [] }, "render.references", "FIELD_INVALID"],
  [
    "four references",
    { references: Array(4).fill({ sha256: clip }), referencePrompts: Array(4).fill("x") },
    "render.references",
    "FIELD_INVALID",
  ],
  ["more prompts than references", { referencePrompts: ["a", "b"] }, "render.reference_prompts", "FIELD_INVALID"],
  ["fewer prompts than references", { referencePrompts: [] }, "render.reference_prompts", "FIELD_INVALID"],
  [
    "a clip too short for first",
    { references: [{ sha256: shortClip }], frameSelection: "first" },
    "render.references[0]",
    "MEDIA_TOO_SHORT",
  ],
  ["another width", { width: 63 }, "render.width", "FIELD_INVALID"],
  ["another height", { height: 64 }, "render.height", "FIELD_INVALID"],
  ["another frame count", { frames: 49 }, "render.frames", "FIELD_INVALID"],
  ["no steps", { steps: 0 }, "render.steps", "FIELD_INVALID"],
  ["too many steps", { steps: 1001 }, "render.steps", "FIELD_INVALID"],
  ["guidance that is not a number", { guidance: { scale: NaN, dynamic: false } }, "render.guidance.scale", "FIELD_INVALID"],
  ["infinite guidance", { guidance: { scale: Infinity, dynamic: false } }, "render.guidance.scale", "FIELD_INVALID"],
  ["negative guidance", { guidance: { scale: -1, dynamic: false } }, "render.guidance.scale", "FIELD_INVALID"],
  ["a negative seed", { seed: -1n }, "render.seed", "FIELD_INVALID"],
  ["a seed of 2^63", { seed: 2n ** 63n }, "render.seed", "FIELD_INVALID"],
  ["a doubled output", { outputs: ["mp4", "mp4"] }, "render.outputs[1]", "FIELD_INVALID"],
  ["an output without a kind", { outputs: ["unspecified"] }, "render.outputs[0]", "FIELD_INVALID"],
  ["an unknown output", { outputs: ["unrecognized"] }, "render.outputs[0]", "FIELD_INVALID"],
  ["an unknown scheduler", { scheduler: "unrecognized" }, "render.scheduler", "FIELD_INVALID"],
  ["an unknown frame selection", { frameSelection: "unrecognized" }, "render.frame_selection", "FIELD_INVALID"],
  ["a text that is too long", { prompt: "x".repeat(maxTextCharacters + 1) }, "render.prompt", "FIELD_INVALID"],
  ["a NUL in a text", { negativePrompt: "a\0b" }, "render.negative_prompt", "FIELD_INVALID"],
  ["half a surrogate pair", { referencePrompts: ["\ud800"] }, "render.reference_prompts[0]", "FIELD_INVALID"],
];

describe("the rules of a submitted render", () => {
  it("find nothing wrong with a plain request", () => {
    expect(violationsOf(submit, facts)).toEqual([]);
  });

  it.each(wrongRenders)("refuse %s", (...[, change, field, code]) => {
    expect(found(change)).toEqual([{ field, code }]);
  });

  it("refuse a job without a render, and still look at the rest", () => {
    expect(foundInJob({ render: undefined, priority: 101 })).toEqual(["render", "priority"]);
  });

  it.each([
    ["an idempotency key with a line break", { idempotencyKey: "a\nb" }, "idempotency_key"],
    ["an idempotency key that is too long", { idempotencyKey: "k".repeat(129) }, "idempotency_key"],
    ["a priority below the range", { priority: -101 }, "priority"],
    ["a deadline that has passed", { deadline: new Date("2025-12-31T23:59:59Z") }, "deadline"],
    ["an unknown class", { jobClass: "unrecognized" }, "job_class"],
    ["an unknown reuse", { reuse: "unrecognized" }, "reuse"],
  ] as const)("refuse %s", (_case, change, field) => {
    expect(foundInJob(change)).toEqual([field]);
  });

  it("tell of every violation, each with a reason and a remedy", () => {
    const all = violationsOf({ ...submit, priority: 500, render: { ...render, steps: 0, width: 1, seed: -5n } }, facts);
    expect(all.map(({ field }) => field)).toEqual(["render.seed", "render.steps", "render.width", "priority"]);
    for (const { reason, remedy } of all) expect([reason.length > 0, remedy.length > 0]).toEqual([true, true]);
  });

  it("accept the ends of every range", () => {
    expect(found({ steps: 1, seed: 0n, guidance: { scale: 0, dynamic: false } })).toEqual([]);
    expect(found({ steps: 1000, seed: 2n ** 63n - 1n, width: 64, height: 48, frames: 17 })).toEqual([]);
    expect(found({ references: [{ sha256: shortClip }], frameSelection: "evenly" })).toEqual([]);
  });

  it("name the models that there are", () => {
    expect(violationsOf({ ...submit, render: { ...render, model: "x" } }, facts)[0]?.remedy).toContain("demo");
  });
});

describe("completing a render", () => {
  it("fills every default of the model and the drawn seed", () => {
    expect(completeRender(render, model, 7n)).toEqual({
      model: "demo",
      image: { sha256: image },
      prompt: "a cat",
      negativePrompt: "worst quality",
      references: [{ sha256: clip }],
      referencePrompts: ["a dog"],
      seed: "7",
      steps: 50,
      guidanceScale: 6,
      dynamicGuidance: true,
      scheduler: "ddim",
      frameSelection: "evenly",
      outputs: ["mp4"],
      width: 64,
      height: 48,
      frames: 17,
      warnings: [],
    });
  });

  it("keeps what was asked for, an empty negative prompt and a zero scale too", () => {
    const asked = completeRender(
      {
        ...render,
        negativePrompt: "",
        seed: 9n,
        steps: 3,
        guidance: { scale: 0, dynamic: false },
        scheduler: "dpm",
        frameSelection: "first",
        outputs: ["frames", "latents"],
      },
      model,
      7n,
    );
    expect(asked).toMatchObject({
      negativePrompt: "",
      seed: "9",
      steps: 3,
      guidanceScale: 0,
      dynamicGuidance: false,
      scheduler: "dpm",
      frameSelection: "first",
      outputs: ["frames", "latents"],
    });
  });

  it("fills in the half of guidance that was not given", () => {
    expect(completeRender({ ...render, guidance: { dynamic: false } }, model, 7n)).toMatchObject({
      guidanceScale: 6,
      dynamicGuidance: false,
    });
    expect(completeRender({ ...render, guidance: { scale: 0 } }, model, 7n)).toMatchObject({ guidanceScale: 0, dynamicGuidance: true });
  });

  it("fills in what the model's variant has", () => {
    expect(completeRender({ ...render, model: "wan" }, wanModel, 7n)).toMatchObject({
      scheduler: "unipc",
      guidanceScale: 5,
      dynamicGuidance: false,
    });
    expect(found({ model: "wan", scheduler: "euler", guidance: { dynamic: false } })).toEqual([]);
    expect(completeRender({ ...render, model: "wan", scheduler: "euler" }, wanModel, 7n).scheduler).toBe("euler");
  });

  const warningsOf = (steps: number, of: ModelFacts = model, scheduler: RenderRequest["scheduler"] = "unspecified") =>
    completeRender({ ...render, steps, scheduler }, of, 7n).warnings ?? [];

  it("warns of steps that the reference of a flow scheduler fails at, from 501 on", () => {
    const codesOf = (steps: number, scheduler: "unipc" | "euler") => warningsOf(steps, wanModel, scheduler).map(({ code }) => code);
    expect([codesOf(30, "unipc"), codesOf(500, "unipc"), codesOf(1000, "euler")]).toEqual([[], [], []]);
    expect([codesOf(501, "unipc"), codesOf(1000, "unipc")]).toEqual([["STEPS_BEYOND_REFERENCE"], ["STEPS_BEYOND_REFERENCE"]]);
    const steeper = { ...wanModel, schedulers: parseFlowFamily({ ...unipcConfig, flow_shift: 5 }) };
    expect([warningsOf(250, steeper), warningsOf(251, steeper).length]).toEqual([[], 1]);
  });

  it("warns of steps that do not divide 1000, and only of those", () => {
    expect(warningsOf(30).map(({ code }) => code)).toEqual(["STEPS_DO_NOT_DIVIDE_1000"]);
    expect(warningsOf(50)).toEqual([]);
  });

  it("warns besides of the 62 step counts whose result the reference's surplus timestep replaces by noise", () => {
    const counts = Array.from({ length: 1000 }, (_one, index) => index + 1);
    const codesOf = (steps: number) => warningsOf(steps).map(({ code }) => code);
    const surplus = counts.filter((steps) => codesOf(steps).includes("STEPS_SURPLUS_TIMESTEP"));
    expect([surplus.length, surplus[0]]).toEqual([62, 61]);
    expect(surplus.every((steps) => codesOf(steps).includes("STEPS_DO_NOT_DIVIDE_1000"))).toBe(true);
    expect(warningsOf(61)[1]?.message).toContain("replaces the result by noise");
  });

  it("goes by the model's own schedule", () => {
    const config = { ...releasedSchedulerConfig, timestep_spacing: "leading", num_train_timesteps: 900 };
    const leading = { ...model, schedulers: parseCogvideoxFamily(config) };
    expect(warningsOf(30, leading)).toEqual([]);
    expect(warningsOf(61, leading).map(({ code }) => code)).toEqual(["STEPS_DO_NOT_DIVIDE_1000"]);
  });
});
