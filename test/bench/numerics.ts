/**
 * Elementwise work of the released CogVideoX size on one core: what the stage runtime does beside the model.
 */
import { createResizer } from "../../services/domain/vap/pillow-resize.ts";
import { TorchGenerator } from "../../services/domain/vap/torch-random.ts";
import { type Bench, medianMs } from "./report.ts";

const latentElements = 13 * 16 * 60 * 90;

export const numerics: Bench = {
  name: "numerics at 480x720x49, one core",
  notMeasured: "the model itself; memory bandwidth under other load",
  async run(short) {
    const rounds = short ? 2 : 15;
    const generator = TorchGenerator.seeded(42n);
    const randnMs = await medianMs(rounds, () => generator.randn(latentElements));
    const from = { width: 1200, height: 768 };
    const pixels = new Uint8Array(from.width * from.height * 3).fill(127);
    const resizeMs = await medianMs(rounds, () => createResizer(from, { filter: "lanczos", to: { width: 720, height: 480 } })(pixels));
    return [
      { name: "noise of one latent (1.1 M values of torch's generator)", value: randnMs, unit: "ms" },
      { name: "Lanczos resize of one 1200x768 frame", value: resizeMs, unit: "ms" },
      { name: "Lanczos resize of 49 such frames", value: resizeMs * 49, unit: "ms" },
    ];
  },
};
