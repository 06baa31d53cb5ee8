/**
 * The score stage on real files with networks that the test writes: decoding, arithmetic and what is told are the farm's own.
 */
import { FarmError } from "../../../services/domain/errors.ts";
import { type Float32Tensor, float32, type Tensor } from "../../../services/domain/tensors/tensor.ts";
import { defaultMediaLimits } from "../../../services/platform/media/limits.ts";
import { createMediaReader } from "../../../services/platform/media/media-reader.ts";
import { type ClipCache, createClipCache } from "../../../services/worker/runtime/thread/clip-cache.ts";
import type { MetricName } from "../../../services/domain/vbench/metric.ts";
import type { StageScore } from "../../../services/worker/runtime/stage-run.ts";
import { score } from "../../../services/worker/runtime/stages/score/score.ts";
import type { StageContext } from "../../../services/worker/runtime/stages/stage-context.ts";
import { testFfmpegPath } from "../ffmpeg.ts";

/** A network: its one output, its constants and its data files. */
export type StubEngine = {
  readonly output: string;
  readonly constants?: Readonly<Record<string, unknown>>;
  readonly files?: Readonly<Record<string, Uint8Array>>;
  readonly answer: (feeds: Readonly<Record<string, Tensor>>) => Float32Tensor;
};

export type ScoreCase = {
  readonly video: string;
  readonly image?: string;
  readonly prompt?: string;
  readonly engines?: Readonly<Record<string, StubEngine>>;
  readonly clips?: ClipCache;
  readonly signal?: AbortSignal;
};

/** Runs the stage; what it told, and the JSON that it made. */
export async function scoreClip(
  metric: MetricName,
  run: ScoreCase,
): Promise<StageScore & { readonly json: Readonly<Record<string, unknown>> }> {
  const ffmpegPath = await testFfmpegPath();
  const { clips = createClipCache(1024 ** 3), signal = new AbortController().signal, engines = {} } = run;
  const decoder = { ffmpegPath, limits: defaultMediaLimits, signal };
  let told: StageScore | undefined;
  const stub = (name: string): StubEngine => {
    const engine = engines[name];
    if (engine === undefined) throw new FarmError("MODEL_INVALID", { message: `the test has no ${name}` });
    return engine;
  };
  const context: Partial<StageContext> = {
    signal,
    engineDigests: Object.fromEntries(Object.keys(engines).map((name) => [name, `digest of ${name}`])),
    inputPath: (name) => Promise.resolve((name === "image" ? run.image : run.video) ?? ""),
    media: () => Promise.resolve(createMediaReader({ ffmpegPath, limits: defaultMediaLimits })),
    clip: async (_name, stream) => {
      const clip = await clips.read({ path: run.video, stream, decoder, onFrame: () => undefined });
      return { clip, decoder: "ffmpeg", decodeMs: 1 };
    },
    engine: (name) => Promise.resolve(sessionOf(name, stub(name))),
    engineFile: (name, constant) => Promise.resolve(stub(name).files?.[constant] ?? new Uint8Array()),
    clipTokenizer: () =>
      Promise.resolve({
        encode: () => ({ ids: { dtype: "int64", shape: [1, 1], data: BigInt64Array.of(0n) }, tokens: 1, isTruncated: false }),
      }),
    progress: () => undefined,
    tellScore: (score) => void (told = score),
    hear: () => (signal.aborted ? Promise.reject(new FarmError("STAGE_CANCELLED")) : Promise.resolve()),
  };
  const [made] = await score(context as StageContext, { stage: `score/${metric}`, metric, prompt: run.prompt ?? "" });
  if (told === undefined || made?.kind !== "json") throw new FarmError("INTERNAL", { message: "nothing was told" });
  return { ...told, json: JSON.parse(new TextDecoder().decode(made.bytes)) as Readonly<Record<string, unknown>> };
}

function sessionOf(name: string, { output, constants = {}, answer }: StubEngine): Awaited<ReturnType<StageContext["engine"]>> {
  const engine = { name, constants, outputs: [{ name: output, dtype: "float32", shape: [] }] };
  return {
    engine: engine as unknown as Awaited<ReturnType<StageContext["engine"]>>["engine"],
    run: (feeds) => Promise.resolve({ [output]: answer(feeds) }),
    ranOn: () => [],
    close: () => Promise.resolve(),
  };
}

/** float32 [n,…] as n tensors [1,…], as a network takes a batch. */
export function rowsOf({ shape, data }: Float32Tensor): readonly Float32Tensor[] {
  const [count = 0, ...rest] = shape;
  const length = data.length / count;
  return Array.from({ length: count }, (_, index) => float32([1, ...rest], data.subarray(index * length, (index + 1) * length)));
}
