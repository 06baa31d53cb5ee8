import { describe, expect, it } from "vitest";
import { type RenderOptions, requestOf } from "../../../services/cli/render/render-options.ts";
import { submitRequestToProto } from "../../../services/cli/render/submit-proto.ts";
import { FarmError } from "../../../services/domain/errors.ts";
import { Reuse, SubmitRenderRequest } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { FrameSelection, OutputKind, SchedulerKind } from "../../../services/gen/proto/vapfarm/v1/stage.ts";

const least: RenderOptions = { model: "demo", image: "i.png", prompt: "p", reference: ["r.mp4"], referencePrompt: ["rp"], out: "." };
const media = { image: "aa", references: ["bb"] };

function violationsOf(options: Partial<RenderOptions>): readonly string[] {
  try {
    requestOf({ ...least, ...options }, media);
    return [];
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(FarmError);
    return ((thrown as FarmError).details.fields ?? []).map(({ field }) => field);
  }
}

describe("the flags of render", () => {
  it("leave to the farm what was not given", () => {
    const { render, ...job } = submitRequestToProto(requestOf(least, media));
    expect(job).toMatchObject({ idempotencyKey: "", priority: 0, reuse: Reuse.REUSE_UNSPECIFIED });
    expect(render).toMatchObject({ image: { sha256: "aa" }, references: [{ sha256: "bb" }], referencePrompts: ["rp"], outputs: [] });
    for (const field of ["seed", "steps", "guidance", "negativePrompt"] as const) expect(render?.[field]).toBeUndefined();
  });

  it("become the request that goes over the wire", () => {
    const request = requestOf(
      {
        ...least,
        seed: "9223372036854775807",
        steps: "1000",
        guidanceScale: "6.5",
        dynamicGuidance: false,
        scheduler: "dpm",
        framesSelection: "first",
        outputs: "mp4,latents,frames",
        negativePrompt: "",
        priority: "-7",
        reuse: "none",
      },
      media,
    );
    const sent = SubmitRenderRequest.decode(SubmitRenderRequest.encode(submitRequestToProto(request)).finish());
    expect(sent).toMatchObject({ priority: -7, reuse: Reuse.REUSE_NONE });
    expect(sent.render).toMatchObject({
      seed: 2n ** 63n - 1n,
      steps: 1000,
      guidance: { scale: 6.5, dynamic: false },
      scheduler: SchedulerKind.SCHEDULER_KIND_DPM,
      frameSelection: FrameSelection.FRAME_SELECTION_FIRST,
      outputs: [OutputKind.OUTPUT_KIND_MP4, OutputKind.OUTPUT_KIND_LATENTS, OutputKind.OUTPUT_KIND_FRAMES],
      negativePrompt: "",
    });
  });

  it.each([
    ["a seed that no 64-bit number holds", { seed: "9223372036854775808" }, ["render.seed"]],
    ["a seed that is no number", { seed: "many" }, ["render.seed"]],
    ["steps that are no whole number", { steps: "2.5" }, ["render.steps"]],
    ["steps that no 32-bit number holds", { steps: "4294967297" }, ["render.steps"]],
    ["an unknown scheduler", { scheduler: "heun" }, ["render.scheduler"]],
    ["an unknown output", { outputs: "mp4,gif" }, ["render.outputs[1]"]],
    ["a name that every object has", { scheduler: "toString" }, ["render.scheduler"]],
    ["guidance that is not finite", { guidanceScale: "Infinity", dynamicGuidance: true }, ["render.guidance.scale"]],
    ["several at once", { seed: "x", steps: "x", priority: "x" }, ["render.seed", "render.steps", "priority"]],
  ])("are refused for %s", (_what, options, fields) => {
    expect(violationsOf(options)).toEqual(fields);
  });

  it.each([
    ["scale", { guidanceScale: "0" }, { scale: 0, dynamic: undefined }],
    ["dynamic", { dynamicGuidance: false }, { scale: undefined, dynamic: false }],
  ])("leave the other half of guidance to the model when only %s is given", (_half, options, guidance) => {
    const request = submitRequestToProto(requestOf({ ...least, ...options }, media));
    expect(SubmitRenderRequest.decode(SubmitRenderRequest.encode(request).finish()).render?.guidance).toEqual(guidance);
  });

  it("pass on what only the farm can judge", () => {
    expect(violationsOf({ seed: "-1", steps: "0", reference: [], referencePrompt: ["a", "b"] })).toEqual([]);
  });
});
