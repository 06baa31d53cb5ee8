/**
 * The same stages without a farm: one process that has the sessions open, takes render after render, and hands what one stage made to the
 * next in memory. What a script would do, and what the farm's throughput is held against.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openModel } from "../../services/platform/models/repository.ts";
import { readRuntimeConfig } from "../../services/worker/runtime/config.ts";
import { finishRun } from "../../services/worker/runtime/finish.ts";
import type { StageRun, StageWork } from "../../services/worker/runtime/stage-run.ts";
import type { StageMade } from "../../services/worker/runtime/stages/stage-made.ts";
import { StageRunner } from "../../services/worker/runtime/thread/stage-runner.ts";
import { zeroDenoiseInputs } from "../support/denoise-inputs.ts";
import { projectRoot } from "../support/ffmpeg.ts";

type RenderShape = { readonly steps: number; readonly guidanceScale: number };

const ignore = (): void => undefined;

export type BareLoop = {
  /** Milliseconds that so many renders take, from their latents' noise to their frames on disk. */
  timeMs(renders: number): Promise<number>;
  close(): Promise<void>;
};

/** A loop whose sessions are open. */
export async function openBareLoop(shape: RenderShape): Promise<BareLoop> {
  const folder = await mkdtemp(join(tmpdir(), "vapfarm-bare-"));
  const render = await preparedRender(folder, shape);
  await render(0n);
  return {
    async timeMs(renders) {
      const began = performance.now();
      for (let seed = 1; seed <= renders; seed += 1) await render(BigInt(seed));
      return performance.now() - began;
    },
    close: () => rm(folder, { recursive: true, force: true }),
  };
}

async function preparedRender(outputFolder: string, { steps, guidanceScale }: RenderShape): Promise<(seed: bigint) => Promise<void>> {
  const runner = new StageRunner(readRuntimeConfig({}, join(projectRoot, ".cache")).inference);
  const modelFolder = join(projectRoot, "models/demo");
  const { engines } = await openModel(modelFolder);
  const engineDigests = Object.fromEntries(Object.values(engines).map(({ name, digest }) => [name, digest]));
  const inputs = Object.entries(zeroDenoiseInputs()).map(([name, bytes]) => [name, { kind: "inline", bytes }] as const);
  const runOf = (work: StageWork, given: StageRun["inputs"]): StageRun => ({
    runId: "bare",
    modelFolder,
    engineDigests,
    work,
    inputs: given,
    outputFolder,
    checkpoints: { everySteps: 0, everyMs: 0, mostShare: 0 },
    mayWait: false,
  });
  const { signal } = new AbortController();
  const run = async (stage: StageRun): Promise<readonly StageMade[]> =>
    (await runner.run(stage, { signal, isStopAsked: () => false, onProgress: ignore, onCheckpoint: ignore })).made;
  return async (seed) => {
    const sampling = { seed, steps, guidanceScale, dynamicGuidance: false, scheduler: undefined, references: 1 };
    const [latents] = await run(runOf({ stage: "denoise", ...sampling }, Object.fromEntries(inputs)));
    const bytes = latents?.kind === "tensors" ? latents.bytes : new Uint8Array();
    const decode = runOf({ stage: "vae_decode", outputs: ["frames"] }, { latents: { kind: "inline", bytes } });
    await finishRun(decode, await run(decode), { signal, onProgress: ignore });
  };
}
