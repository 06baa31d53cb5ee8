import { describe, expect, it } from "vitest";
import { shapesOfWorker } from "../../../services/coordinator/dispatch/shapes.ts";
import { stagesWithoutEngine } from "../../../services/domain/stage.ts";

const all = ["prepare/-", "panels/-", "score.temporal_flickering/-"];

describe("what a worker can run", () => {
  it("is a shape for each engine that renders, and what needs none", () => {
    const shapes = shapesOfWorker([{ denoise: "d", vae_encode_image: "i" }], stagesWithoutEngine);
    expect(shapes).toEqual([...all, "denoise/d", "vae_encode/i"]);
  });

  it("is a metric where all of its networks are held, by the digest of the first", () => {
    const image = shapesOfWorker([{ clip_b32_image: "i" }], stagesWithoutEngine);
    expect(image).toEqual([...all, "score.background_consistency/i"]);
    const both = shapesOfWorker([{ clip_b32_text: "t", clip_b32_image: "i" }], stagesWithoutEngine);
    expect(both).toEqual([...all, "score.background_consistency/i", "score.clip_score/i"]);
  });

  it("needs the networks of one repository: halves of two make no metric", () => {
    expect(shapesOfWorker([{ clip_b32_text: "t" }, { clip_b32_image: "i" }], [])).toEqual(["prepare/-", "score.background_consistency/i"]);
  });

  it("is preparing alone, of what needs no engine, for a worker that does not say", () => {
    expect(shapesOfWorker([], [])).toEqual(["prepare/-"]);
  });
});
