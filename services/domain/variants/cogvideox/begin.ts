/**
 * What CogVideoX's denoiser begins from (spec §1.1.5-1.1.6; pipeline_cogvideox_image2video_mot.py:380-486, 960-1001).
 *
 * The VAE's distribution is sampled here, from the render's one generator, in the reference's order: image, initial noise, each reference,
 * each reference's first frame. Prompts are rows of one call: negative, then positive; the positive alone without guidance.
 */
import { elementCount, float32 } from "../../tensors/tensor.ts";
import type { Float32Tensor } from "../../tensors/tensor.ts";
import { sampleLatents } from "../../vap/moments.ts";
import { inputOf, promptsOf, referencesOf, stack } from "../denoise-inputs.ts";
import type { DenoiseRequest, LatentSize, Variant } from "../variant.ts";

/** [1,T,C,h,w]. */
export function cogvideoxLatentShape({ frames, channels, height, width }: LatentSize): readonly number[] {
  return [1, frames, channels, height, width];
}

/**
 * Inputs are moments float32 [1,2C,t,h,w] and embeddings [1,L,D]. One call: image_latents [1,1,C,h,w], ref_latents [n,T,C,h,w],
 * ref_image_latents [n,1,C,h,w], prompt_embeds [g,L,D], ref_prompt_embeds [n,g,L,D].
 */
export const beginCogvideox: Variant["begin"] = (request) => {
  const { latent } = request.model;
  const references = referencesOf(request);
  const clips = readClips(request, references);
  const sample = sampler(request);
  const imageLatents = sample(clips.image, "single");
  const shape = cogvideoxLatentShape(latent);
  const latents = float32(shape, request.draw(elementCount(shape)));
  const refLatents = clips.references.map((moments) => sample(moments, "clip"));
  const refImageLatents = clips.firstFrames.map((moments) => sample(moments, "single"));
  const n = references.length;
  const [, , ...frame] = shape;
  return {
    latents,
    calls: [
      {
        image_latents: imageLatents,
        ref_latents: stack([n, ...shape.slice(1)], refLatents),
        ref_image_latents: stack([n, 1, ...frame], refImageLatents),
        ...prompts(request, references),
      },
    ],
  };
};

type Clips = {
  readonly image: Float32Tensor;
  readonly references: readonly Float32Tensor[];
  readonly firstFrames: readonly Float32Tensor[];
};

/** Everything is read and checked before the first draw. */
function readClips(request: DenoiseRequest, references: readonly number[]): Clips {
  const { channels, frames, height, width } = request.model.latent;
  const moments = (name: string, count: number): Float32Tensor => inputOf(request, name, [1, 2 * channels, count, height, width]);
  return {
    image: moments("image_moments", 1),
    references: references.map((index) => moments(`ref${index}_moments`, frames)),
    firstFrames: references.map((index) => moments(`ref${index}_first_moments`, 1)),
  };
}

function sampler({ model: { vae }, draw }: DenoiseRequest) {
  const scales = { clip: vae.scalingFactor, single: vae.invertScaleLatents ? 1 : vae.scalingFactor };
  return (moments: Float32Tensor, kind: "clip" | "single"): Float32Tensor =>
    sampleLatents(moments, draw(moments.data.length / 2), scales[kind]);
}

function prompts(request: DenoiseRequest, references: readonly number[]): Readonly<Record<string, Float32Tensor>> {
  const { maxTokens, width } = request.model.text;
  const rowsOf = (prefix: string): readonly Float32Tensor[] => {
    const { positive, negative } = promptsOf(request, prefix);
    return negative === undefined ? [positive] : [negative, positive];
  };
  const main = rowsOf("");
  const all = references.flatMap((index) => rowsOf(`ref${index}_`));
  return {
    prompt_embeds: stack([main.length, maxTokens, width], main),
    ref_prompt_embeds: stack([references.length, main.length, maxTokens, width], all),
  };
}
