/**
 * What a checkpoint of the released sizes costs: encoding and writing it, as a run stands still for it, and reading it back.
 */
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SchedulerKind } from "../../services/domain/render-spec.ts";
import { float32 } from "../../services/domain/tensors/tensor.ts";
import { variantOf } from "../../services/domain/variants/registry.ts";
import { decodeDenoiseState, encodeDenoiseState } from "../../services/domain/vap/denoise-checkpoint.ts";
import { type DenoisePlan, type DenoiseState, planDenoise, stepDenoise } from "../../services/domain/vap/denoise.ts";
import { callsOf } from "../../services/domain/vap/guidance.ts";
import { TorchGenerator } from "../../services/domain/vap/torch-random.ts";
import { checkpointFiles } from "../../services/worker/runtime/thread/checkpoint-files.ts";
import { stageFiles } from "../../services/worker/runtime/thread/stage-files.ts";
import { unipcConfig } from "../support/flow-scheduler-config.ts";
import { releasedSchedulerConfig } from "../support/scheduler-config.ts";
import { type Bench, type Figure, medianMs } from "./report.ts";

type Case = { readonly variant: "cogvideox" | "wan"; readonly kind: SchedulerKind; readonly width: number };

const cases: readonly Case[] = [
  { variant: "cogvideox", kind: "ddim", width: 90 },
  { variant: "cogvideox", kind: "dpm", width: 90 },
  { variant: "wan", kind: "unipc", width: 104 },
];

/** A plan of 50 steps at the released size, and a state that remembers all that its scheduler ever does. */
function inTheMiddle({ variant: name, kind, width }: Case): { readonly plan: DenoisePlan; readonly state: DenoiseState } {
  const variant = variantOf(name);
  const config = name === "wan" ? unipcConfig : releasedSchedulerConfig;
  const latent = { frames: 13, channels: 16, height: 60, width };
  const vae = { scalingFactor: 0.7, invertScaleLatents: false };
  const plan = planDenoise({
    seed: 42n,
    steps: 50,
    guidanceScale: 6,
    dynamicGuidance: false,
    references: 1,
    variant,
    schedulers: variant.schedulers(config),
    schedulerKind: kind,
    model: { latent, vae, text: { maxTokens: 226, width: 4096 } },
  });
  const generator = TorchGenerator.seeded(42n);
  const elements = 13 * 16 * 60 * width;
  const latents = float32(plan.latentShape, generator.randn(elements));
  const { calls, rows } = callsOf(plan.guidance, plan.isGuided);
  const answer = float32([rows, ...plan.latentShape.slice(1)], new Float32Array(rows * elements).fill(0.1));
  let state: DenoiseState = { stepIndex: 0, latents, memory: plan.scheduler.beginning, random: generator.state() };
  for (let step = 0; step < 3; step += 1)
    state = stepDenoise(
      plan,
      state,
      Array.from({ length: calls }, () => answer),
    );
  return { plan, state };
}

async function figuresOf(one: Case, folder: string, rounds: number): Promise<readonly Figure[]> {
  const { plan, state } = inTheMiddle(one);
  const owner = { plan, render: "a render" };
  let path = "";
  const run = {
    runId: "bench",
    modelFolder: folder,
    engineDigests: {},
    work: { stage: "clip_encode" as const },
    inputs: {},
    outputFolder: folder,
    checkpoints: { everySteps: 5, everyMs: 0, mostShare: 0 },
    mayWait: false,
  };
  const files = checkpointFiles(run, {
    files: stageFiles(run),
    onCheckpoint: (checkpoint) => (path = checkpoint.path),
    meter: { checkpointMs: 0 },
  });
  let step = 0;
  const writeMs = await medianMs(rounds, () => files.write((step += 1), () => encodeDenoiseState(owner, state)));
  const readMs = await medianMs(rounds, async () => decodeDenoiseState(owner, await readFile(path)));
  const name = `${one.variant} ${one.kind}`;
  return [
    { name: `${name}: size`, value: (await stat(path)).size / 1e6, unit: "MB" },
    { name: `${name}: the run stands still for`, value: writeMs, unit: "ms" },
    { name: `${name}: step above which one in 5 steps costs under 1 %`, value: (writeMs * 100) / 5, unit: "ms" },
    { name: `${name}: reading it back`, value: readMs, unit: "ms" },
  ];
}

export const checkpoints: Bench = {
  name: "checkpoints at the released sizes, one core, the temporary folder's disk",
  notMeasured: "upload, which no run waits for; another disk",
  async run(short) {
    const folder = await mkdtemp(join(tmpdir(), "vapfarm-checkpoints-"));
    try {
      const figures: Figure[] = [];
      for (const one of cases) figures.push(...(await figuresOf(one, folder, short ? 2 : 15)));
      const inputs = new Uint8Array(52e6);
      const hashMs = await medianMs(short ? 2 : 15, () => createHash("sha256").update(inputs).digest("hex"));
      return [...figures, { name: "hash over the inputs of a Wan render (52 MB), once a run", value: hashMs, unit: "ms" }];
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};
