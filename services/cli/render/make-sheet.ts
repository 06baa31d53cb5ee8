/**
 * Reads what a contact sheet shows: the inputs as the model saw them, and the result.
 */
import { join } from "node:path";
import { readFile } from "node:fs/promises";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import type { FrameSelection } from "../../domain/render-spec.ts";
import { decodeSafetensors } from "../../domain/tensors/safetensors.ts";
import type { Uint8Tensor } from "../../domain/tensors/tensor.ts";
import { defaultMediaLimits } from "../../platform/media/limits.ts";
import { createMediaReader, type MediaReader } from "../../platform/media/media-reader.ts";
import { findFfmpeg } from "../../platform/programs/ffmpeg.ts";
import type { CliContext } from "../context.ts";
import { writeWhole } from "../../client/whole-file.ts";
import { drawContactSheet, randomWeightsNote, type SheetColumn } from "../sheet/contact-sheet.ts";
import type { RenderOptions } from "./render-options.ts";

/** What the sheet says of a render beside its files. */
type SheetFacts = {
  readonly seed: string;
  readonly steps: number;
  readonly size: { readonly width: number; readonly height: number; readonly frames: number };
  readonly frameSelection: FrameSelection;
  readonly fps: number;
  readonly hasRandomWeights: boolean;
};

/** What a sheet is drawn from. */
export type FinishedRender = { readonly facts: SheetFacts; readonly files: Readonly<Record<string, string>> };

/** The sheet beside the result's file, by its name; one that cannot be made is a note, not a failed render. */
export async function trySheet(
  context: CliContext,
  options: RenderOptions,
  finished: FinishedRender,
): Promise<Readonly<Record<string, string>>> {
  const shown = finished.files["mp4"] ?? finished.files["frames"];
  if (shown === undefined) return {};
  const path = shown.replace(/\.(mp4|frames\.safetensors)$/, ".contact-sheet.png");
  try {
    const png = await drawSheet(context, options, finished);
    await writeWhole(path, async (file) => file.writeFile(png));
    return { "contact sheet": path };
  } catch (thrown) {
    context.output.note(`the contact sheet could not be made: ${toFarmError(thrown).message}`);
    return {};
  }
}

async function drawSheet(context: CliContext, options: RenderOptions, { facts, files }: FinishedRender): Promise<Buffer> {
  const reader = await openMediaReader(context);
  const { size, fps } = facts;
  const { signal } = context.interrupts;
  const resize = { kind: "stretch", height: size.height, width: size.width } as const;
  const clip = (path: string, frames: number): Promise<Uint8Tensor> =>
    reader.decodeFrames(path, { selection: frames === 1 ? "first" : facts.frameSelection, count: frames, resize, signal });
  const references: SheetColumn[] = [];
  for (const [index, path] of options.reference.entries()) {
    const title = options.reference.length > 1 ? `reference ${index + 1}` : "reference";
    references.push({ title, subtitle: options.referencePrompt[index] ?? "", frames: await clip(path, size.frames) });
  }
  const image: SheetColumn = { title: "image", subtitle: "", frames: await clip(options.image, 1) };
  const frames = files["frames"] === undefined ? await clip(files["mp4"] ?? "", size.frames) : await framesOf(files["frames"]);
  const result: SheetColumn = { title: "result", subtitle: options.prompt, frames };
  const title = `vapfarm  ${options.model}, seed ${facts.seed}, ${facts.steps} steps`;
  const warnings = facts.hasRandomWeights ? [randomWeightsNote] : [];
  return drawContactSheet({ title, fps, warnings, columns: [...references, image, result] });
}

/** A media reader with this machine's ffmpeg. */
export async function openMediaReader({ environment, projectFolder }: CliContext): Promise<MediaReader> {
  const text = (name: string): string | undefined => (environment[name] === "" ? undefined : environment[name]);
  const cacheFolder = text("VAPFARM_CACHE") ?? join(projectFolder, ".cache");
  const ffmpeg = await findFfmpeg({ configured: text("VAPFARM_FFMPEG"), cacheFolder, searchPath: environment["PATH"] });
  return createMediaReader({ ffmpegPath: ffmpeg.path, limits: defaultMediaLimits });
}

/** The frames output, exact where the mp4 is not. */
async function framesOf(path: string): Promise<Uint8Tensor> {
  const tensor = decodeSafetensors(await readFile(path)).tensors.get("frames");
  if (tensor?.dtype !== "uint8") throw new FarmError("ARTIFACT_CORRUPT", { message: `${path} holds no frames` });
  return tensor;
}
