import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { FrameSelection, OutputKind, RunStageRequest, SchedulerKind } from "../../../services/gen/proto/vapfarm/v1/stage.ts";
import { engineOf } from "../../../services/platform/models/manifest.ts";
import { openModel } from "../../../services/platform/models/repository.ts";
import { readRuntimeConfig, runtimeSettings } from "../../../services/worker/runtime/config.ts";
import { createSessionCache } from "../../../services/worker/runtime/engines/session-cache.ts";
import { stageRunFromProto } from "../../../services/worker/runtime/stage-run.ts";

const demo = fileURLToPath(new URL("../../../models/demo", import.meta.url));
const code = (expected: string): Error => expect.objectContaining({ code: expected }) as Error;

describe("the runtime's settings", () => {
  it("default to one CPU thread on a free loopback port", () => {
    expect(readRuntimeConfig({}, "/cache")).toMatchObject({
      address: "127.0.0.1:0",
      inference: { providers: ["cpu"], threads: 1, cacheFolder: "/cache", ffmpegPath: undefined },
    });
  });

  it.each([{ VAPFARM_RUNTIME_ADDRESS: "nowhere" }, { VAPFARM_RUNTIME_THREADS: "0" }, { VAPFARM_RUNTIME_PROVIDERS: "cpu,,cuda" }])(
    "are refused when wrong: %j",
    (environment) => {
      expect(() => readRuntimeConfig(environment, "/cache")).toThrow(code("CONFIG_INVALID"));
    },
  );

  it("are listed whole in the README", async () => {
    const readme = await readFile(new URL("../../../services/worker/runtime/README.md", import.meta.url), "utf8");
    const listed = [...readme.matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, name]) => name);
    expect(listed.toSorted()).toEqual(Object.keys(runtimeSettings.shape).toSorted());
  });
});

describe("a request", () => {
  const request = (parts: Parameters<typeof RunStageRequest.fromPartial>[0]): RunStageRequest =>
    RunStageRequest.fromPartial({ outputFolder: "/out", modelFolder: "/model", ...parts });

  it("comes off the wire as plain work", () => {
    const value = {
      seed: 7n,
      steps: 3,
      guidanceScale: 6,
      dynamicGuidance: true,
      scheduler: SchedulerKind.SCHEDULER_KIND_DPM,
      references: 2,
    };
    const run = stageRunFromProto(
      request({
        parameters: { kind: { $case: "denoise", value } },
        inputs: [{ name: "image_moments", source: { $case: "path", value: "/a" } }],
      }),
    );
    expect(run.work).toEqual({ stage: "denoise", ...value, scheduler: "dpm" });
    expect(run.inputs).toEqual({ image_moments: { kind: "path", path: "/a" } });
  });

  it("says how often checkpoints are written; one that does not has none", () => {
    const parameters = { kind: { $case: "clipEncode" as const, value: {} } };
    expect(stageRunFromProto(request({ parameters })).checkpoints).toEqual({ everySteps: 0, everyMs: 0, mostShare: 0 });
    const checkpoints = { everySteps: 5, everyMs: 30_000n, mostShare: 0.01 };
    expect(stageRunFromProto(request({ parameters, checkpoints })).checkpoints).toEqual({ ...checkpoints, everyMs: 30_000 });
    for (const wrong of [{ everySteps: -1 }, { everyMs: -1n }, { mostShare: -0.5 }, { mostShare: NaN }]) {
      expect(() => stageRunFromProto(request({ parameters, checkpoints: { ...checkpoints, ...wrong } }))).toThrow(
        code("STAGE_INPUT_INVALID"),
      );
    }
  });

  it.each([
    ["without parameters", {}],
    ["with a relative output folder", { outputFolder: "out", parameters: { kind: { $case: "textEncode", value: { prompt: "" } } } }],
    ["with a relative model folder", { modelFolder: "m", parameters: { kind: { $case: "textEncode", value: { prompt: "" } } } }],
    [
      "with a relative input",
      {
        parameters: { kind: { $case: "textEncode", value: { prompt: "" } } },
        inputs: [{ name: "a", source: { $case: "path", value: "x" } }],
      },
    ],
    [
      "without frames",
      {
        parameters: {
          kind: { $case: "prepare", value: { frames: 0, height: 8, width: 8, frameSelection: FrameSelection.FRAME_SELECTION_FIRST } },
        },
      },
    ],
    ["without a frame selection", { parameters: { kind: { $case: "prepare", value: { frames: 1, height: 8, width: 8 } } } }],
    ["that decodes to latents", { parameters: { kind: { $case: "vaeDecode", value: { outputs: [OutputKind.OUTPUT_KIND_LATENTS] } } } }],
  ] as const)("%s is refused", (_what, parts) => {
    expect(() => stageRunFromProto(request(parts as Parameters<typeof RunStageRequest.fromPartial>[0]))).toThrow(
      code("STAGE_INPUT_INVALID"),
    );
  });
});

describe("the session cache", () => {
  it("closes the least recently used engine when a budget of bytes is passed", async () => {
    const model = await openModel(demo);
    const [text, image, decode] = (["text_encode", "vae_encode_image", "vae_decode"] as const).map((name) => engineOf(model, name));
    if (text === undefined || image === undefined || decode === undefined) expect.unreachable("the demo model has all engines");
    const sessionBytes = decode.memoryBytes + text.memoryBytes;
    const cache = createSessionCache({ providers: ["cpu"], threads: 1, deviceId: 0, sessionBytes });
    const loads: string[] = [];
    const open = (engine: typeof text) => cache.open(model, engine, () => void loads.push(engine.name));
    for (const engine of [text, image, text, decode]) await open(engine);
    expect(cache.residentDigests()).toEqual([text.digest, decode.digest]);
    expect(loads).toEqual(["text_encode", "vae_encode_image", "vae_decode"]);
  });
});
