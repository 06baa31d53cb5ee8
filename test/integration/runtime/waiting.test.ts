import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { encodeSafetensors } from "../../../services/domain/tensors/safetensors.ts";
import { float32 } from "../../../services/domain/tensors/tensor.ts";
import { OutputKind, SchedulerKind } from "../../../services/gen/proto/vapfarm/v1/stage.ts";
import { callUnary } from "../../../services/platform/grpc/client.ts";
import { runMarkers } from "../../../services/worker/run-marker.ts";
import { zeroDenoiseInputs } from "../../support/denoise-inputs.ts";
import { until } from "../../support/until.ts";
import { type StageAnswer, type StageCall, startTestRuntime, type TestRuntime } from "../../support/runtime-process.ts";

const value = { seed: 1n, guidanceScale: 6, dynamicGuidance: false, scheduler: SchedulerKind.SCHEDULER_KIND_DDIM, references: 1 };
/** Of streams, only what is told apart in time is told in order. */
const lateStep = 25;
const text = { $case: "textEncode", value: { prompt: "waits" } } as const;

let runtime: TestRuntime;
let said: string[];

beforeEach(async () => {
  runtime = await startTestRuntime();
  said = [];
});

afterEach(() => runtime.stop());

const denoise = (steps: number): StageCall => ({
  parameters: { $case: "denoise", value: { ...value, steps } },
  inputs: zeroDenoiseInputs(),
});

type Watched = { readonly sent: Promise<undefined>; readonly begun: Promise<undefined>; readonly ended: Promise<StageAnswer | string> };

/** A run that notes under its name what it is told; `begun` resolves with its first step. */
function watched(name: string, call: StageCall): Watched {
  const sent = Promise.withResolvers<undefined>();
  const begun = Promise.withResolvers<undefined>();
  const ended = runtime.run({
    ...call,
    onSent: () => sent.resolve(undefined),
    onStarted: (idleMs) => said.push(`${name} started ${idleMs === undefined ? "first" : "after another"}`),
    onProgress: ({ phase, step }) => {
      if (step > 0) begun.resolve(undefined);
      if (step === lateStep) said.push(`${name} nears its end`);
      if (phase === "mp4" && step === 0) said.push(`${name} encodes`);
    },
    onComputed: () => said.push(`${name} computed`),
  });
  return {
    sent: sent.promise,
    begun: begun.promise,
    ended: ended.then(
      (answer) => {
        said.push(`${name} ended`);
        return answer;
      },
      (thrown: unknown) => (thrown as { readonly code: string }).code,
    ),
  };
}

/** Until the runtime has heard all that was said: this call comes over the same connection, and after it. */
const untilHeard = () => callUnary(runtime.client.describeRuntime.bind(runtime.client), {}, { deadlineMs: 5_000 });

describe("a run that may wait", () => {
  it("starts when the one before has computed, and no earlier", async () => {
    const first = watched("first", denoise(lateStep + 5));
    await first.begun;
    const second = watched("second", { ...denoise(2), mayWait: true });
    await Promise.all([first.ended, second.ended]);
    expect(said.filter((word) => !/ended|computed/.test(word))).toEqual([
      "first started first",
      "first nears its end",
      "second started after another",
    ]);
  });

  it("has its words in the log from its own marker on", async () => {
    const first = watched("first", denoise(lateStep));
    await first.begun;
    await Promise.all([first.ended, watched("second", { parameters: text, mayWait: true }).ended]);
    await until("both are marked", () => runtime.log().includes("run run-2 begins"));
    expect([...runtime.log().matchAll(runMarkers)].map(([, runId]) => runId)).toEqual(["run-1", "run-2"]);
  });

  it("is refused while another waits", async () => {
    const stop = new AbortController();
    const first = watched("first", { ...denoise(1_000), signal: stop.signal });
    await first.begun;
    const second = watched("second", { parameters: text, mayWait: true, signal: stop.signal });
    await second.sent;
    await untilHeard();
    expect(await watched("third", { parameters: text, mayWait: true }).ended).toBe("RUNTIME_BUSY");
    stop.abort();
    await Promise.all([first.ended, second.ended]);
  });

  it("never starts once it was cancelled, and leaves its place to another", async () => {
    const first = watched("first", denoise(60));
    await first.begun;
    const stop = new AbortController();
    const second = watched("second", { parameters: text, mayWait: true, signal: stop.signal });
    await second.sent;
    await untilHeard();
    expect(await watched("third", { parameters: text, mayWait: true }).ended).toBe("RUNTIME_BUSY");
    stop.abort();
    await second.ended;
    await untilHeard();
    const fourth = watched("fourth", { parameters: text, mayWait: true });
    await Promise.all([first.ended, fourth.ended]);
    expect(said).toContain("fourth started after another");
    expect(said.filter((word) => word.startsWith("second"))).toEqual([]);
  });
});

describe("a run that makes an mp4", () => {
  it("lets go of the slot before it encodes", async () => {
    const latents = encodeSafetensors({ latents: float32([1, 5, 16, 6, 8], new Float32Array(5 * 16 * 6 * 8)) });
    const outputs = [OutputKind.OUTPUT_KIND_MP4];
    const answer = await watched("decode", { parameters: { $case: "vaeDecode", value: { outputs } }, inputs: { latents } }).ended;
    expect(said).toEqual(["decode started first", "decode computed", "decode encodes", "decode ended"]);
    expect(answer).toMatchObject({ result: { outputs: [{ name: "mp4", mediaType: "video/mp4" }] } });
  });
});
