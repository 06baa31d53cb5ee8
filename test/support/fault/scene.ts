/**
 * A farm for the fault tests of one file, and what each of them does first and asks last.
 */
import { afterAll, beforeAll, expect } from "vitest";
import type { SubmitRenderRequest } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import type { Coordinator, FaultFarm, FaultFarmOptions, Worker } from "./farm.ts";
import { startFaultFarm } from "./farm.ts";
import { expectKept } from "./judgement.ts";
import { stepsWithin, triedSteps } from "../steps-within.ts";
import {
  attemptsOf,
  denoiseMsOf,
  denoising,
  endsOf,
  type Inputs,
  requestOf,
  type Running,
  submitPatiently,
  uploadInputs,
} from "./renders.ts";

export const faultTimeoutMs = 90_000;

/** How long a denoise lasts that is disturbed in its middle: some beats, on any machine. */
const disturbedMs = 4_000;

export type Scene = {
  readonly farm: FaultFarm;
  readonly coordinator: (index: number) => Coordinator;
  readonly worker: (name: string) => Worker;
  /** For a render that nobody submitted before. */
  readonly request: (steps?: number) => SubmitRenderRequest;
  /** The same, submitted; its job's id. */
  readonly submit: (steps?: number, through?: number) => Promise<string>;
  /** A render in the middle of its denoise. */
  readonly disturbed: () => Promise<Running & { readonly jobId: string }>;
  readonly expectSucceeded: (...jobIds: readonly string[]) => Promise<void>;
  /** It succeeded, no second attempt began, and nothing was charged. */
  readonly expectUndisturbed: (...jobIds: readonly string[]) => Promise<void>;
};

/** Registers the hooks: a farm before the file's tests, the checker's judgement after them. Call the result inside a test. */
export function useScene(options: FaultFarmOptions | (() => Promise<FaultFarmOptions>) = {}): () => Scene {
  let scene: Scene;
  beforeAll(async () => {
    const farm = await startFaultFarm(typeof options === "function" ? await options() : options);
    const [first] = farm.coordinators;
    if (first === undefined) throw new TypeError("a farm has a coordinator");
    const inputs = await uploadInputs(first.client);
    const jobId = await submitPatiently(first.client, requestOf({ inputs, seed: 0, steps: triedSteps }));
    expect(await endsOf(farm, [jobId])).toEqual(["succeeded"]);
    const steps = stepsWithin(disturbedMs, (await denoiseMsOf(farm, jobId)) / triedSteps);
    scene = sceneOf(farm, { inputs, steps });
  }, faultTimeoutMs);
  afterAll(async () => {
    try {
      await expectKept(scene.farm);
    } finally {
      await scene.farm.stop();
    }
  }, faultTimeoutMs);
  return () => scene;
}

function sceneOf(farm: FaultFarm, { inputs, steps: middlingSteps }: { readonly inputs: Inputs; readonly steps: number }): Scene {
  let seed = 0;
  const coordinator = (index: number): Coordinator => farm.coordinators[index] ?? expect.fail(`no coordinator ${index}`);
  const request: Scene["request"] = (steps = middlingSteps) => requestOf({ inputs, seed: (seed += 1), steps });
  const submit: Scene["submit"] = (steps, through = 0) => submitPatiently(coordinator(through).client, request(steps));
  const expectSucceeded: Scene["expectSucceeded"] = async (...jobIds) => {
    expect(await endsOf(farm, jobIds)).toEqual(jobIds.map(() => "succeeded"));
  };
  return {
    farm,
    coordinator,
    worker: (name) => farm.workers.find(({ program }) => program.name === name) ?? expect.fail(`no worker ${name}`),
    request,
    submit,
    async disturbed() {
      const jobId = await submit();
      return { jobId, ...(await denoising(farm, jobId)) };
    },
    expectSucceeded,
    async expectUndisturbed(...jobIds) {
      await expectSucceeded(...jobIds);
      for (const jobId of jobIds) {
        const begun = (await attemptsOf(farm, jobId)).filter((attempt) => attempt.begun);
        expect(begun).toMatchObject([{ state: "succeeded", charged: {} }]);
      }
    },
  };
}
