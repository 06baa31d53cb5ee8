/**
 * The same rows as a plain PyTorch loop: exporter/tools/plain_loop.py in the exporter's environment, row after row, nothing shared.
 *
 * Its threads wait asleep: threads that spin, as OpenMP's do by default, take ten times as long where anything else wants a core, and a ratio
 * to that says nothing of the farm.
 */
import { execFile } from "node:child_process";
import { access, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { decodeSafetensors } from "../../services/domain/tensors/safetensors.ts";
import type { Tensor } from "../../services/domain/tensors/tensor.ts";
import type { MetricName } from "../../services/domain/vbench/metric.ts";
import { projectRoot, testFfmpegPath } from "../support/ffmpeg.ts";
import type { BenchSuite } from "./suite-rows.ts";

const runFile = promisify(execFile);
const python = join(projectRoot, ".venv/bin/python");

/** A metric of one clip; booleans are what VBench writes for dynamic_degree, null stands for what is no number. */
export type LoopScore = { readonly value: number | boolean | null; readonly decode_seconds: number; readonly seconds: number };

export type LoopRow = {
  readonly row: number;
  readonly seconds: number;
  readonly metrics: Readonly<Record<MetricName, LoopScore>>;
};

export type PlainLoop = {
  /** Renders and scores the rows from one on, up to another; the models' loading is in nobody's seconds. */
  render(from: number, to: number): Promise<readonly LoopRow[]>;
  /** Scores clips that are there, named `ROW.mp4`. */
  score(videos: string): Promise<readonly LoopRow[]>;
  /** "frames" uint8 [F,H,W,3] and "latents" [1,T,C,h,w] that were rendered of a row. */
  tensors(row: number): Promise<ReadonlyMap<string, Tensor>>;
};

export type LoopSettings = { readonly steps: number; readonly threads: number };

/** Undefined where the exporter's environment was not set up. */
export async function openPlainLoop(suite: BenchSuite, { steps, threads }: LoopSettings): Promise<PlainLoop | undefined> {
  const isThere = await access(join(projectRoot, ".venv/.installed")).then(
    () => true,
    () => false,
  );
  if (!isThere) return undefined;
  const kept = join(suite.folder, "loop");
  await mkdir(kept);
  const shared = ["--steps", String(steps), "--threads", String(threads), "--ffmpeg", await testFfmpegPath()];
  const run = async (args: readonly string[]): Promise<readonly LoopRow[]> => {
    const out = join(suite.folder, "loop.json");
    // The package beside the tool, whichever checkout the environment was made in.
    const own = { PYTHONPATH: join(projectRoot, "exporter"), GCONV_PATH: "/nonexistent", OMP_WAIT_POLICY: "PASSIVE" };
    const tool = join(projectRoot, "exporter/tools/plain_loop.py");
    await runFile(python, [tool, suite.table, "--out", out, ...shared, ...args], { env: { ...process.env, ...own } });
    return (JSON.parse(await readFile(out, "utf8")) as { readonly rows: readonly LoopRow[] }).rows;
  };
  return {
    render: (from, to) => run(["--rows", `${from}:${to}`, "--keep", kept]),
    score: (videos) => run(["--videos", videos]),
    tensors: async (row) => decodeSafetensors(await readFile(join(kept, `${row}.safetensors`))).tensors,
  };
}
