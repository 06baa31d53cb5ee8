/**
 * `vapfarm demo`: a whole farm comes up, renders the bundled clip and image with a model of each variant, shows what it made and what
 * landed where, and goes.
 */
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { describeCommand, type Finish, runBody } from "../command-line.ts";
import type { CliContext } from "../context.ts";
import { showBenchmark } from "../demo/benchmark.ts";
import { landedText, readLanded } from "../demo/landed.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { connectFarm, type FarmClient } from "../../client/farm-client.ts";
import { renderOnFarm } from "../render/on-farm.ts";
import type { RenderOptions } from "../render/render-options.ts";
import { printReport, type RenderReport } from "../render/report.ts";
import { seconds } from "../text-table.ts";
import { type RunningFarm, startFarm } from "../up/running-farm.ts";
import { settingsOf } from "../up/settings.ts";
import { printFarm } from "./up.ts";

type DemoOptions = { readonly out: string; readonly steps: string; readonly workers: string; readonly json?: boolean };

const text = {
  name: "demo",
  group: "machine",
  summary: "show renders on a farm of this machine, from start to stop",
  description:
    "Starts an ephemeral farm with two workers, renders the bundled clip and image with models/demo (the CogVideoX variant) and models/demo-wan (the Wan variant), runs a benchmark of two rows with the networks of models/demo-metrics (not with --json), prints where everything is and what landed in Postgres, and stops. All weights are random: output is noise by design, and scores mean nothing.",
  examples: ["vapfarm demo", "vapfarm demo --steps 50 --out /tmp/demo"],
} as const;

const demoModels = [
  { model: "demo", what: "the CogVideoX variant" },
  { model: "demo-wan", what: "the Wan variant" },
] as const;

/** Adds the command. */
export function demoCommand(context: CliContext, finish: Finish): Command {
  return describeCommand(text)
    .option("--out <folder>", "where files are written", "demo-output")
    .option("--steps <number>", "denoise steps", "20")
    .option("--workers <number>", "workers to run", "2")
    .action(async (options: DemoOptions) => finish(await runBody(context, () => demo(context, options), options)));
}

async function demo(context: CliContext, options: DemoOptions): Promise<ExitCode> {
  const began = performance.now();
  const { output, projectFolder, interrupts } = context;
  const note = options.json === true ? (): void => undefined : (line: string): void => output.note(line);
  // The demo is the same everywhere: whatever farm the environment names is left alone.
  const environment = {
    ...context.environment,
    DATABASE_URL: "",
    NATS_URL: "",
    VAPFARM_ARTIFACTS: "",
    VAPFARM_MODELS: "",
    VAPFARM_GRPC_ADDRESS: "",
  };
  const settings = settingsOf({ ephemeral: true, workers: options.workers }, environment, context);
  const farm = await startFarm({ settings, environment, projectFolder, signal: interrupts.signal, onNote: note });
  try {
    const readyMs = performance.now() - began;
    note(`the farm answered after ${seconds(readyMs)}`);
    if (options.json !== true) printFarm(output, farm, true);
    return await show(context, options, farm);
  } finally {
    note("stopping the farm");
    await farm.stop();
    note(`stopped; the whole demo took ${seconds(performance.now() - began)}`);
  }
}

async function show(context: CliContext, options: DemoOptions, farm: RunningFarm): Promise<ExitCode> {
  const { output } = context;
  const { grpcAddress, databaseUrl } = farm.describe();
  const client = connectFarm({ address: grpcAddress, origin: "the demo's farm" });
  try {
    const reports: RenderReport[] = [];
    for (const { model, what } of demoModels) {
      if (options.json !== true) output.line(`\nA render of ${what} (models/${model}):`);
      const report = await renderOnFarm(context, renderOptions(context, options, model), client);
      if (report === undefined) return exitCodes.interrupted;
      reports.push(report);
      if (options.json !== true) printReport(output, report, false);
    }
    const benchmarked = options.json === true ? exitCodes.ok : await benchmark(context, options, { client, address: grpcAddress });
    const landed = await readLanded(databaseUrl);
    if (options.json === true) output.json({ reports, landed });
    else output.line(`\nWhat landed in Postgres (the farm's only truth):\n\n${landedText(landed)}\n`);
    return codeOf(reports) === exitCodes.ok ? benchmarked : codeOf(reports);
  } finally {
    client.close();
  }
}

async function benchmark(
  context: CliContext,
  options: DemoOptions,
  farm: { readonly client: FarmClient; readonly address: string },
): Promise<ExitCode> {
  context.output.line("\nA benchmark of two rows (demo/benchmark.csv), measured with models/demo-metrics:");
  return await showBenchmark(context, { ...farm, steps: options.steps, out: resolve(context.workingFolder, options.out) });
}

function codeOf(reports: readonly RenderReport[]): ExitCode {
  return reports.every(({ state }) => state === "succeeded") ? exitCodes.ok : exitCodes.failed;
}

function renderOptions({ projectFolder, workingFolder }: CliContext, options: DemoOptions, model: string): RenderOptions {
  const media = join(projectFolder, "demo");
  return {
    model,
    image: join(media, "image.png"),
    prompt: "The pot begins to inflate like a balloon and rises straight up from the table. The camera remains completely static.",
    reference: [join(media, "clip.mp4")],
    referencePrompt: ["A striped ball on a table inflates like a balloon and rises straight up. The camera remains completely static."],
    seed: "42",
    steps: options.steps,
    out: resolve(workingFolder, options.out),
    ...(options.json === true ? { json: true } : {}),
  };
}
