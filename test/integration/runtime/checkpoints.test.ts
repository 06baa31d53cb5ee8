import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decodeSafetensors } from "../../../services/domain/tensors/safetensors.ts";
import { CheckpointSettings, type StageCheckpoint } from "../../../services/gen/proto/vapfarm/v1/stage.ts";
import { callUnary } from "../../../services/platform/grpc/client.ts";
import { openModel } from "../../../services/platform/models/repository.ts";
import { createGoldenStages } from "../../support/golden-stages.ts";
import { type GoldenName, openGolden, schedulerKindOf } from "../../support/golden.ts";
import { demoFolderOf, type StageAnswer, type StageCall, startTestRuntime, type TestRuntime } from "../../support/runtime-process.ts";

/** A case for each scheduler. */
const cases = ["cogvideox-ddim-1ref", "cogvideox-dpm-1ref", "wan-unipc", "wan-euler"] as const satisfies readonly GoldenName[];
const often = CheckpointSettings.create({ everySteps: 2 });
const farmSettings = CheckpointSettings.create({ everySteps: 5, everyMs: 30_000n, mostShare: 0.01 });

let runtime: TestRuntime;
const calls = new Map<GoldenName, StageCall>();

beforeAll(async () => {
  runtime = await startTestRuntime();
  for (const name of cases) {
    const golden = openGolden(name);
    const { negativePrompt } = (await openModel(demoFolderOf(golden.settings.variant))).defaults;
    calls.set(name, await createGoldenStages({ runtime, golden, negativePrompt }).denoiseCall());
  }
});

afterAll(() => runtime.stop());

function callOf(name: GoldenName): StageCall {
  return calls.get(name) ?? expect.fail(`no call for ${name}`);
}

type Checkpointed = { readonly answer: StageAnswer; readonly checkpoints: readonly StageCheckpoint[] };

async function run(call: StageCall, on: TestRuntime = runtime): Promise<Checkpointed> {
  const checkpoints: StageCheckpoint[] = [];
  return { answer: await on.run({ ...call, onCheckpoint: (checkpoint) => checkpoints.push(checkpoint) }), checkpoints };
}

/** The same call with more steps of denoise. */
function longer(call: StageCall, steps: number): StageCall {
  const { parameters } = call;
  if (parameters.$case !== "denoise") expect.fail("the call denoises");
  return { ...call, parameters: { $case: "denoise", value: { ...parameters.value, steps } } };
}

const resumed = (call: StageCall, path: string): StageCall => ({ ...call, inputs: { ...call.inputs, checkpoint: path } });
const latentsOf = ({ answer }: Checkpointed): Promise<Buffer> => readFile(answer.path("latents"));
const stepsOf = ({ answer }: Checkpointed): readonly number[] =>
  answer.progress.filter(({ phase }) => phase === "denoise").map(({ step }) => step);

describe.each(cases)("a denoise of %s", (name) => {
  it("writes checkpoints that change nothing, and goes on from each in a fresh runtime to the same bytes", async ({ annotate }) => {
    const call = callOf(name);
    const expected = await latentsOf(await run(call));
    const written = await run({ ...call, checkpoints: often });
    expect(await latentsOf(written)).toEqual(expected);
    const { steps } = openGolden(name).settings;
    expect(written.checkpoints.map(({ step }) => step)).toEqual([2, 4, 6, 8].filter((step) => step < steps));
    for (const { path, step, sizeBytes } of written.checkpoints) {
      expect((await stat(path)).size).toBe(Number(sizeBytes));
      const fresh = await startTestRuntime();
      try {
        const rest = await run(resumed(call, path), fresh);
        expect(await latentsOf(rest)).toEqual(expected);
        expect(stepsOf(rest)).toEqual(Array.from({ length: steps - step + 1 }, (_, index) => step + index));
      } finally {
        await fresh.stop();
      }
    }
    await annotate(`${schedulerKindOf(openGolden(name))}: ${written.checkpoints.length} checkpoints, each byte-equal when resumed`);
  });

  it("refuses a checkpoint of another render, naming the input", async () => {
    const call = callOf(name);
    const [first] = (await run({ ...call, checkpoints: often })).checkpoints;
    const path = first?.path ?? "";
    const another = callOf(
      cases.find((one) => openGolden(one).settings.variant === openGolden(name).settings.variant && one !== name) ?? name,
    );
    const { parameters } = call;
    if (parameters.$case !== "denoise") expect.fail("the call denoises");
    const reseeded: StageCall = { ...call, parameters: { $case: "denoise", value: { ...parameters.value, seed: 8n } } };
    const rescaled: StageCall = { ...call, parameters: { $case: "denoise", value: { ...parameters.value, guidanceScale: 2.5 } } };
    const prompt = call.inputs?.["negative_prompt_embeds"] ?? "";
    const reworded: StageCall = { ...call, inputs: { ...call.inputs, prompt_embeds: prompt } };
    for (const other of [another, reseeded, rescaled, reworded, longer(call, 20)]) {
      const refused = { code: "ARTIFACT_CORRUPT", details: { input: "checkpoint" } };
      await expect(run(resumed(other, path))).rejects.toMatchObject(refused);
    }
  });
});

describe("a run that writes checkpoints", () => {
  it("waits 100 times what each cost before the next, under the farm's settings", async ({ annotate }) => {
    const { answer, checkpoints } = await run({ ...longer(callOf("cogvideox-dpm-1ref"), 400), checkpoints: farmSettings });
    const { checkpointMs, computeMs } = answer.result;
    await annotate(
      `${checkpoints.length} checkpoints in ${computeMs.toFixed(0)} ms: ${checkpointMs.toFixed(1)} ms, ` +
        `${((checkpointMs / computeMs) * 100).toFixed(2)} % of the run`,
    );
    expect(checkpoints.length).toBeGreaterThan(0);
    // The last one's cost was not waited for: no later one had to.
    const waitedFor = checkpoints.slice(0, -1).reduce((sum, { tookMs }) => sum + tookMs, 0);
    expect(waitedFor).toBeLessThan(computeMs * 0.01);
  });

  it("writes none where it is too short for one, or where nobody asks for them", async () => {
    const call = callOf("wan-euler");
    expect((await run({ ...call, checkpoints: farmSettings })).checkpoints).toEqual([]);
    expect((await run({ ...call, checkpoints: CheckpointSettings.create({}) })).checkpoints).toEqual([]);
  });

  it("that is asked to stop ends with a last checkpoint from which no step is taken twice", async () => {
    const call = longer(callOf("cogvideox-dpm-1ref"), 400);
    const expected = await latentsOf(await run(call));
    const checkpoints: StageCheckpoint[] = [];
    const taken: number[] = [];
    await callUnary(runtime.client.stopRun.bind(runtime.client), { runId: "no such run" }, { deadlineMs: 5_000 });
    const stopped = runtime.run({
      ...call,
      checkpoints: farmSettings,
      onCheckpoint: (checkpoint) => checkpoints.push(checkpoint),
      onProgress: ({ phase, step }) => {
        if (phase !== "denoise") return;
        taken.push(step);
        if (step === 20) void stopRunning();
      },
    });
    await expect(stopped).rejects.toMatchObject({ code: "STAGE_CANCELLED" });
    const last = checkpoints.at(-1) ?? expect.fail("no checkpoint");
    expect(last.step).toBe(taken.at(-1));
    const rest = await run(resumed(call, last.path));
    expect(stepsOf(rest)[0]).toBe(last.step);
    expect(await latentsOf(rest)).toEqual(expected);
  });

  it("goes on to the same bytes when one cannot be written, and says so", async () => {
    const call = callOf("cogvideox-ddim-1ref");
    const expected = await latentsOf(await run(call));
    const { answer, checkpoints } = await run({
      ...call,
      checkpoints: often,
      prepareFolder: (folder) => mkdir(join(folder, "checkpoint-2.safetensors.partial")),
    });
    expect(await readFile(answer.path("latents"))).toEqual(expected);
    expect(checkpoints.map(({ step, failure }) => [step, failure !== ""])).toEqual([
      [2, true],
      [4, false],
      [6, false],
      [8, false],
    ]);
    expect(checkpoints[0]?.failure).toContain("EISDIR");
  });

  it("that has none to write is cancelled when it is asked to stop", async () => {
    const stopped = runtime.run({
      ...longer(callOf("cogvideox-dpm-1ref"), 400),
      onProgress: ({ step }) => void (step === 5 && stopRunning()),
      onCheckpoint: () => expect.fail("a checkpoint"),
    });
    await expect(stopped).rejects.toMatchObject({ code: "STAGE_CANCELLED" });
  });
});

/** Asks whatever runs to stop. */
async function stopRunning(): Promise<void> {
  const { client } = runtime;
  const { runningRunId: runId } = await callUnary(client.describeRuntime.bind(client), {}, { deadlineMs: 5_000 });
  await callUnary(client.stopRun.bind(client), { runId }, { deadlineMs: 5_000 });
}

describe("a checkpoint that is damaged", () => {
  it("is refused by name", async () => {
    const call = callOf("cogvideox-ddim-1ref");
    const [first] = (await run({ ...call, checkpoints: often })).checkpoints;
    const bytes = await readFile(first?.path ?? "");
    const path = join(runtime.folder, "damaged");
    await writeFile(path, bytes.subarray(0, bytes.length - 100));
    await expect(run(resumed(call, path))).rejects.toMatchObject({ code: "ARTIFACT_CORRUPT", details: { input: "checkpoint" } });
    expect(decodeSafetensors(bytes).metadata["format"]).toBe("vapfarm-denoise-3");
  });

  it("that is not there is named too", async () => {
    const call = resumed(callOf("cogvideox-ddim-1ref"), join(runtime.folder, "nothing"));
    await expect(run(call)).rejects.toMatchObject({ code: "ARTIFACT_MISSING", details: { input: "checkpoint" } });
  });
});
