import type { ClipNormalization } from "../../services/domain/vap/clip-pixels.ts";

/** The preprocessor_config.json of the golden Wan checkpoint, also that of every released CLIP. */
export const clipNormalization: ClipNormalization = {
  rescale: 0.00392156862745098,
  mean: [0.48145466, 0.4578275, 0.40821073],
  std: [0.26862954, 0.26130258, 0.27577711],
};
