/**
 * Clips for a report's page: each as a data: URI beside its contact sheet, as many as the page may hold.
 *
 * What cannot be had leaves its card without a picture and says why: a page is never less for one clip that is gone.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import type { FarmClient } from "../../client/farm-client.ts";
import { toFarmError } from "../../domain/errors.ts";
import type { MediaReader } from "../../platform/media/media-reader.ts";
import { mapBounded } from "../batch/bounded.ts";
import type { CliContext } from "../context.ts";
import { openMediaReader } from "../render/make-sheet.ts";
import { drawContactSheet, randomWeightsNote, type SheetColumn } from "../sheet/contact-sheet.ts";
import { createCountView } from "./count-view.ts";
import type { ClipRow } from "./report/clip-rows.ts";
import type { ReportModel } from "./report/model.ts";
import type { ClipMedia } from "./report/page-clips.ts";

/** Which clips a page may have. */
export const clipChoices = ["worst", "all", "none"] as const;
/** Which, and how many bytes at most. */
export type ChosenClips = { readonly which: (typeof clipChoices)[number]; readonly limitBytes: number };

/** Where clips come from. */
export type FetchingClips = {
  readonly client: FarmClient;
  readonly model: ReportModel;
  readonly chosen: ChosenClips;
  readonly asJson: boolean;
};

const atOnce = 2;
const sheetFrames = 49;
const sheetWidth = 240;
const defaultFps = 16;

/** Render position → its clip and sheet; a note where there is none. */
export async function fetchClipMedia(context: CliContext, fetching: FetchingClips): Promise<ReadonlyMap<number, ClipMedia>> {
  const { model, chosen, asJson } = fetching;
  const wanted = wantedClips(model, chosen.which);
  if (wanted.length === 0) return new Map();
  const view = createCountView(context.output, asJson);
  const folder = await mkdtemp(join(tmpdir(), "vapfarm-report-"));
  const media = new Map<number, ClipMedia>();
  let left = chosen.limitBytes;
  try {
    const reader = await openMediaReader(context);
    await mapBounded(wanted, atOnce, async (clip) => {
      const found = left <= 0 ? { note: overLimit } : await fetchOne(context, clip, { ...fetching, folder, reader });
      const bytes = (found.mp4?.length ?? 0) + (found.sheet?.length ?? 0);
      media.set(clip.renderPosition, bytes > left ? { note: overLimit } : found);
      left -= bytes > left ? 0 : bytes;
      view.show("fetch clips", media.size, wanted.length);
    });
    return media;
  } finally {
    view.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

const overLimit = "left out: the page has as many clips as --clips-limit allows";

/** The worst of each metric and the largest drops, or all that there is; in the order of the run. */
export function wantedClips({ clips, worst, comparison }: ReportModel, which: ChosenClips["which"]): readonly ClipRow[] {
  if (which === "none") return [];
  const made = clips.filter(({ videoSha256 }) => videoSha256 !== "");
  if (which === "all") return made;
  const listed = [...worst, ...(comparison?.drops ?? [])].flatMap((list) => list.clips.map(({ renderPosition }) => renderPosition));
  return made.filter(({ renderPosition }) => listed.includes(renderPosition));
}

type FetchingOne = FetchingClips & { readonly folder: string; readonly reader: MediaReader };

async function fetchOne(context: CliContext, clip: ClipRow, fetching: FetchingOne): Promise<ClipMedia> {
  const { signal } = context.interrupts;
  const fetch = async (name: string): Promise<string> => {
    const path = join(fetching.folder, `${clip.renderPosition}-${name}`);
    await fetching.client.download({ jobId: fetching.model.run.runId, name, position: clip.renderPosition, path }, { signal });
    return path;
  };
  try {
    const path = await fetch("mp4");
    const mp4 = `data:video/mp4;base64,${(await readFile(path)).toString("base64")}`;
    const inputs = await inputColumns(clip, fetch, { reader: fetching.reader, signal });
    const result = await columnOf(fetching.reader, { path, title: "result", subtitle: clip.caption, signal });
    return { mp4, sheet: await drawSheet(clip, [...inputs, result], fetching.model) };
  } catch (thrown) {
    signal.throwIfAborted();
    return { note: `the clip could not be shown: ${toFarmError(thrown).message}` };
  }
}

/** References and target as far as the farm still has them. */
async function inputColumns(
  clip: ClipRow,
  fetch: (name: string) => Promise<string>,
  { reader, signal }: { readonly reader: MediaReader; readonly signal: AbortSignal },
): Promise<readonly SheetColumn[]> {
  const inputs = [
    ...clip.referenceCaptions.map((subtitle, index) => ({ name: `input_reference_${index + 1}`, title: "reference", subtitle })),
    { name: "input_image", title: "target", subtitle: clip.caption },
  ];
  const columns: SheetColumn[] = [];
  for (const { name, title, subtitle } of inputs) {
    const path = await fetch(name).catch((thrown: unknown) => {
      signal.throwIfAborted();
      return toFarmError(thrown);
    });
    if (typeof path === "string") columns.push(await columnOf(reader, { path, title, subtitle, signal }));
  }
  return columns;
}

type OneColumn = { readonly path: string; readonly title: string; readonly subtitle: string; readonly signal: AbortSignal };

async function columnOf(reader: MediaReader, { path, title, subtitle, signal }: OneColumn): Promise<SheetColumn> {
  const { width, height, frames } = await reader.inspect(path, signal);
  const resize = { kind: "stretch", width: sheetWidth, height: Math.max(1, Math.round((sheetWidth * height) / width)) } as const;
  const count = Math.min(frames, sheetFrames);
  return { title, subtitle, frames: await reader.decodeFrames(path, { selection: "evenly", count, resize, signal }) };
}

async function drawSheet(clip: ClipRow, columns: readonly SheetColumn[], { run }: ReportModel): Promise<string> {
  const warnings = run.hasTrainedWeights ? [] : [randomWeightsNote];
  const png = await drawContactSheet({ title: `${clip.name}  seed ${clip.seed}`, columns, fps: defaultFps, warnings });
  const jpeg = await sharp(png).jpeg({ quality: 80 }).toBuffer();
  return `data:image/jpeg;base64,${jpeg.toString("base64")}`;
}
