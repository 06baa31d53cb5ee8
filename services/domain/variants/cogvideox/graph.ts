/**
 * The CogVideoX variant's graph: moments of the image, and of each reference's clip and first frame, which are encoded apart (spec §1.1.5).
 */
import { pixelNode, prepareNode, promptInputs, promptNodes, type RenderGraph } from "../render-graph.ts";

const firstFrame = { engine: "vae_encode_image", work: { stage: "vae_encode", firstFrameOnly: true } } as const;
const clip = { engine: "vae_encode", work: { stage: "vae_encode", firstFrameOnly: false } } as const;
const moments = { output: "moments", tensor: "moments" } as const;

/** Which engines a CogVideoX render runs, over which inputs, and where their outputs go. */
export const cogvideoxGraph: RenderGraph = {
  nodes: [
    prepareNode("image", "image", { media: "image", frames: "first", fit: "model" }),
    ...promptNodes.render,
    pixelNode("image_moments", "image", { per: "render", label: "image", ...firstFrame }),
    prepareNode("clip", "", { media: "reference", frames: "all", fit: "model" }),
    pixelNode("clip_moments", "clip", { per: "reference", label: "", ...clip }),
    pixelNode("first_moments", "clip", { per: "reference", label: "first frame", ...firstFrame }),
    ...promptNodes.reference,
  ],
  denoise: [
    { per: "render", name: "image_moments", node: "image_moments", ...moments },
    { per: "reference", name: "moments", node: "clip_moments", ...moments },
    { per: "reference", name: "first_moments", node: "first_moments", ...moments },
    ...promptInputs,
  ],
};
