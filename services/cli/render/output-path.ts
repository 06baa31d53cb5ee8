/**
 * Names of the files that a render's outputs are written to.
 */
import { join } from "node:path";

const fileEndings: Readonly<Record<string, string>> = { mp4: "mp4", latents: "latents.safetensors", frames: "frames.safetensors" };

/** Where an output of a render is written. */
export function renderOutputPath(folder: string, id: string, output: string): string {
  return join(folder, `${id}.${fileEndings[output] ?? "bin"}`);
}
