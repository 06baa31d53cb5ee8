/**
 * Made-up clips in the shape of VAP's benchmark: each condition's reference clip and caption serve two rows, which have targets and captions of
 * their own. Both sides read the same rows: the farm as messages, the plain loop as a CSV.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runTestFfmpeg } from "../support/ffmpeg.ts";

/** Paths are of files in the suite's folder. */
export type BenchRow = {
  readonly target: string;
  readonly reference: string;
  readonly caption: string;
  readonly referenceCaption: string;
  readonly kind: string;
  readonly seed: number;
};

export type BenchSuite = { readonly folder: string; readonly table: string; readonly rows: readonly BenchRow[] };

const rowsPerCondition = 2;
const seconds = 1.5;
const sizes = ["96x64", "160x120", "128x128", "64x96", "176x144"] as const;
const rates = [16, 24, 30] as const;
/** ffmpeg's sources that move. */
const sources: readonly ((seed: number) => string)[] = [
  () => "testsrc2=",
  (seed) => `gradients=speed=0.05:seed=${seed}:`,
  (seed) => `life=ratio=0.4:mold=10:life_color=#C83232:death_color=#404080:seed=${seed}:`,
  () => "mandelbrot=start_scale=2:end_scale=0.3:end_pts=30:",
  (seed) => `cellauto=rule=110:seed=${seed}:`,
];

/** Writes clips and table. */
export async function makeSuite(folder: string, count: number): Promise<BenchSuite> {
  const rows = Array.from({ length: count }, (_, index) => rowOf(index));
  const clips = [...new Set(rows.flatMap(({ target, reference }) => [target, reference]))];
  for (const [index, clip] of clips.entries()) await makeMovingClip(join(folder, clip), index);
  const table = join(folder, "benchmark.csv");
  await writeFile(table, tableText(rows));
  return { folder, table, rows };
}

function rowOf(index: number): BenchRow {
  const condition = Math.floor(index / rowsPerCondition);
  return {
    target: `target-${index}.mp4`,
    reference: `reference-${condition}.mp4`,
    caption: `In scene ${index}, the "pot" begins to inflate like a balloon.`,
    referenceCaption: `A ball of kind ${condition} inflates, slowly.`,
    kind: `condition ${condition}`,
    seed: 1_000 + 7 * index,
  };
}

/** Sizes, rates and sources go round at their own pace, so that few clips share all three. */
async function makeMovingClip(path: string, index: number): Promise<void> {
  const source = sources[index % sources.length]?.(index) ?? "";
  const size = sizes[Math.floor(index / sources.length) % sizes.length] ?? sizes[0];
  const rate = rates[index % rates.length] ?? rates[0];
  const input = ["-f", "lavfi", "-i", `${source}size=${size}:rate=${rate},hue=h=${(37 * index) % 360}`];
  await runTestFfmpeg([...input, "-t", String(seconds), "-c:v", "libx264", "-threads", "1", "-pix_fmt", "yuv420p", path]);
}

function tableText(rows: readonly BenchRow[]): string {
  const head = "video_paths,ref_video_path,tar_video_caption,ref_video_caption,seed";
  const lines = rows.map(({ target, reference, caption, referenceCaption, seed }) =>
    [target, reference, quoted(caption), quoted(referenceCaption), seed].join(","),
  );
  return `${[head, ...lines].join("\n")}\n`;
}

function quoted(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}
