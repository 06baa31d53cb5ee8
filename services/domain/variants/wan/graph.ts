/**
 * The Wan variant's graph: latents of the image and of the reference's clip and first frame, all from one deterministic encoder, and what
 * CLIP sees in the image and in the reference's first frame at their own sizes (spec §1.2.4, §1.2.5).
 */
import { pixelNode, prepareNode, promptInputs, promptNodes, type RenderGraph } from "../render-graph.ts";

const firstFrame = { engine: "vae_encode", work: { stage: "vae_encode", firstFrameOnly: true } } as const;
const clip = { engine: "vae_encode", work: { stage: "vae_encode", firstFrameOnly: false } } as const;
const seen = { engine: "clip_encode", work: { stage: "clip_encode" } } as const;
const latents = { output: "latents", tensor: "latents" } as const;
const embeds = { output: "image_embeds", tensor: "image_embeds" } as const;

/** Which engines a Wan render runs, over which inputs, and where their outputs go. */
export const wanGraph: RenderGraph = {
  nodes: [
    prepareNode("image", "image", { media: "image", frames: "first", fit: "model" }),
    prepareNode("image_view", "image for CLIP", { media: "image", frames: "first", fit: "clip" }),
    ...promptNodes.render,
    pixelNode("image_embeds", "image_view", { per: "render", label: "image", ...seen }),
    pixelNode("image_latents", "image", { per: "render", label: "image", ...firstFrame }),
    prepareNode("clip", "", { media: "reference", frames: "all", fit: "model" }),
    prepareNode("clip_view", "first frame for CLIP", { media: "reference", frames: "first", fit: "clip" }),
    pixelNode("first_embeds", "clip_view", { per: "reference", label: "first frame", ...seen }),
    pixelNode("clip_latents", "clip", { per: "reference", label: "", ...clip }),
    pixelNode("first_latents", "clip", { per: "reference", label: "first frame", ...firstFrame }),
    ...promptNodes.reference,
  ],
  denoise: [
    { per: "render", name: "image_latents", node: "image_latents", ...latents },
    { per: "render", name: "image_embeds", node: "image_embeds", ...embeds },
    { per: "reference", name: "latents", node: "clip_latents", ...latents },
    { per: "reference", name: "first_latents", node: "first_latents", ...latents },
    { per: "reference", name: "image_embeds", node: "first_embeds", ...embeds },
    ...promptInputs,
  ],
};
