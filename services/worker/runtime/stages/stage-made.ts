/**
 * What a stage made, still in memory: the slot is let go before it is written.
 *
 * Plain data that goes from the inference thread to the server's, which writes it (`finish.ts`).
 */
import { encodeSafetensors } from "../../../domain/tensors/safetensors.ts";
import type { Tensor, Uint8Tensor } from "../../../domain/tensors/tensor.ts";

export type StageMade =
  /** A safetensors file. */
  | { readonly kind: "tensors"; readonly name: string; readonly bytes: Uint8Array }
  | { readonly kind: "json"; readonly name: string; readonly bytes: Uint8Array }
  /** Frames that become an mp4, uint8 [F,H,W,3]. */
  | { readonly kind: "mp4"; readonly name: string; readonly frames: Uint8Tensor; readonly fps: number; readonly ffmpegPath: string };

/** Tensors as a file of the output's name. */
export function tensorsMade(name: string, tensors: Readonly<Record<string, Tensor>>): StageMade {
  return { kind: "tensors", name, bytes: encodeSafetensors(tensors) };
}
