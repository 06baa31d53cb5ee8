/**
 * Makes a small benchmark of its own in the form of VAP-Data's benchmark.csv: 24 semantic conditions with two targets and one reference each, as the
 * paper's table has them. Run: node tools/make-bench-suite.ts FOLDER (or `make bench-suite`). Clips are ffmpeg's own moving patterns, so that
 * the project ships nobody else's; the same ffmpeg makes the same bytes.
 */
import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { findFfmpeg } from "../services/platform/programs/ffmpeg.ts";

const runFile = promisify(execFile);
const root = fileURLToPath(new URL("..", import.meta.url));

/** Category and conditions; the paper has 24 from four categories. */
const conditions: Readonly<Record<string, readonly string[]>> = {
  concept: ["inflate", "melt", "crumble", "dissolve", "balloon", "crystal"],
  style: ["ghibli", "lego", "clay", "sketch", "neon", "mosaic"],
  motion: ["levitate", "spin", "shake", "walk", "dance", "bounce"],
  camera: ["zoom_in", "zoom_out", "pan_left", "pan_right", "tilt_up", "orbit"],
};
const subjects = ["A pot on a table", "A small dog", "An old car", "A paper lantern"] as const;
const sources = [
  "testsrc2=s=96x64:r=16",
  "mandelbrot=s=96x64:r=16",
  "life=s=96x64:r=16:seed=SEED:mold=10:ratio=0.4:death_color=#203040:life_color=#e0c080",
  "gradients=s=96x64:r=16:speed=0.05:seed=SEED",
  "cellauto=s=96x64:r=16:seed=SEED",
] as const;
const seconds = 2;

type SuiteRow = Readonly<Record<"video_paths" | "ref_video_path" | "tar_video_caption" | "ref_video_caption" | "kind", string>>;

/** Writes clips and benchmark.csv into the folder; returns the rows. `of` is how many conditions there are, 24 unless it says fewer. */
export async function makeBenchSuite(
  folder: string,
  { ffmpegPath, of = 24 }: { readonly ffmpegPath: string; readonly of?: number },
): Promise<readonly SuiteRow[]> {
  await mkdir(join(folder, "videos"), { recursive: true });
  const kinds = Object.values(conditions).flat().slice(0, of);
  const rows: SuiteRow[] = [];
  for (const [index, kind] of kinds.entries()) {
    const clips = [`videos/${kind}-reference.mp4`, `videos/${kind}-0.mp4`, `videos/${kind}-1.mp4`] as const;
    for (const [take, clip] of clips.entries()) await makeClip(join(folder, clip), { ffmpegPath, number: index * clips.length + take });
    const [reference, ...targets] = clips;
    rows.push(
      ...targets.map((target, take) => rowOf({ kind, reference, target, subject: subjects[(index + take) % subjects.length] ?? "" })),
    );
  }
  await writeFile(join(folder, "benchmark.csv"), csvOf(rows));
  return rows;
}

type Naming = { readonly kind: string; readonly reference: string; readonly target: string; readonly subject: string };

function rowOf({ kind, reference, target, subject }: Naming): SuiteRow {
  const effect = kind.replace("_", " ");
  return {
    video_paths: target,
    ref_video_path: reference,
    tar_video_caption: `${subject}, plain light. Then the scene takes on "${effect}", smoothly and to the end.`,
    ref_video_caption: `A pattern shows the effect "${effect}".`,
    kind,
  };
}

async function makeClip(path: string, { ffmpegPath, number }: { readonly ffmpegPath: string; readonly number: number }): Promise<void> {
  const source = (sources[number % sources.length] ?? "").replace("SEED", String(number + 1));
  const codec = ["-c:v", "libx264", "-threads", "1", "-pix_fmt", "yuv420p", "-fflags", "+bitexact", "-flags:v", "+bitexact"];
  const args = [
    "-v",
    "error",
    "-y",
    "-f",
    "lavfi",
    "-i",
    source,
    "-t",
    String(seconds),
    "-vf",
    `hue=h=${(number * 37) % 360}`,
    ...codec,
    path,
  ];
  await runFile(ffmpegPath, args, { env: { GCONV_PATH: "/nonexistent" } });
}

function csvOf(rows: readonly SuiteRow[]): string {
  const columns = ["video_paths", "ref_video_path", "tar_video_caption", "ref_video_caption", "kind"] as const;
  const quoted = (cell: string): string => `"${cell.replaceAll('"', '""')}"`;
  return [columns.join(","), ...rows.map((row) => columns.map((column) => quoted(row[column])).join(","))].join("\n") + "\n";
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = process.argv[2] ?? join(root, ".vapfarm", "suite");
  const { VAPFARM_FFMPEG: configured, PATH: searchPath } = process.env;
  const { path: ffmpegPath } = await findFfmpeg({ configured, cacheFolder: join(root, ".cache"), searchPath });
  const rows = await makeBenchSuite(folder, { ffmpegPath });
  process.stdout.write(`${rows.length} rows in ${join(folder, "benchmark.csv")}\n`);
}
