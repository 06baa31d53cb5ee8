/**
 * Which function runs which stage.
 */
import type { StageWork } from "../stage-run.ts";
import { clipEncode } from "./clip-encode.ts";
import { denoise } from "./denoise.ts";
import { panels } from "./panels.ts";
import { prepare } from "./prepare.ts";
import { score } from "./score/score.ts";
import type { StageContext } from "./stage-context.ts";
import type { StageMade } from "./stage-made.ts";
import { textEncode } from "./text-encode.ts";
import { vaeDecode } from "./vae-decode.ts";
import { vaeEncode } from "./vae-encode.ts";
import { warm } from "./warm.ts";

/** Runs one stage's work. */
export function runWork(context: StageContext, work: StageWork): Promise<readonly StageMade[]> {
  switch (work.stage) {
    case "prepare":
      return prepare(context, work);
    case "text_encode":
      return textEncode(context, work);
    case "vae_encode":
      return vaeEncode(context, work);
    case "clip_encode":
      return clipEncode(context);
    case "denoise":
      return denoise(context, work);
    case "vae_decode":
      return vaeDecode(context, work);
    case "panels":
      return panels(context, work);
    case "warm":
      return warm(context, work);
    default:
      return score(context, work);
  }
}
