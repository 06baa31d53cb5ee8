/**
 * The engines of one run: opened by the digests that its task was keyed with, their files and tokenizers, and the time that loading takes.
 *
 * A run reads one folder, of a model that renders or of metric networks. What is opened for it stays with the thread: sessions and tokenizers.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { FarmError } from "../../../domain/errors.ts";
import type { EngineName } from "../../../domain/stage.ts";
import { variantNames } from "../../../domain/variants/registry.ts";
import type { MetricEngine } from "../../../domain/vbench/metric.ts";
import { type Engine, engineOf, type ModelManifest } from "../../../platform/models/manifest.ts";
import { type HeldManifest, openManifest, requireModel } from "../../../platform/models/repository.ts";
import { type ClipPromptTokenizer, openClipTokenizer } from "../clip-tokenizer.ts";
import type { EngineSession } from "../engines/onnx-session.ts";
import type { SessionCache } from "../engines/session-cache.ts";
import type { StageProgress, StageRun } from "../stage-run.ts";
import type { StageContext } from "../stages/stage-context.ts";
import { openTokenizer, type PromptTokenizer } from "../tokenizer.ts";

/** A vocabulary of 256,000 pieces takes about a second to open and a tenth of a gigabyte: as many are kept as there are variants. */
const keptTokenizers = variantNames.length;
/** Two text networks of one metric repository. */
const keptClipTokenizers = 2;

/** Milliseconds of one run and the providers that ran, filled as it goes. */
export type Meter = { loadMs: number; deviceMs: number; checkpointMs: number; readonly providers: Set<string> };

/** What outlives a run. */
export type KeptEngines = {
  readonly sessions: SessionCache;
  readonly tokenizers: Shelf<PromptTokenizer>;
  readonly clipTokenizers: Shelf<ClipPromptTokenizer>;
};

/** Nothing is open yet. */
export function keepEngines(sessions: SessionCache): KeptEngines {
  return { sessions, tokenizers: new Shelf(keptTokenizers), clipTokenizers: new Shelf(keptClipTokenizers) };
}

type RunningOn = {
  readonly kept: KeptEngines;
  readonly meter: Meter;
  readonly onProgress: (progress: StageProgress) => void;
};

/** The engines that a run may use. */
export function enginesOfRun(
  run: StageRun,
  { kept, meter, onProgress }: RunningOn,
): Pick<StageContext, "model" | "engine" | "engineFile" | "engineDigests" | "tokenizer" | "clipTokenizer"> {
  let held: Promise<HeldManifest> | undefined;
  const openOnce = (): Promise<HeldManifest> => (held ??= openManifest(run.modelFolder));
  const model = async (): Promise<ModelManifest> => requireModel(await openOnce());
  const timed = async <T>(load: () => Promise<T>): Promise<T> => {
    const startedMs = performance.now();
    const loaded = await load();
    meter.loadMs += performance.now() - startedMs;
    return loaded;
  };
  const open = async (name: EngineName | MetricEngine): Promise<EngineSession> => {
    const manifest = await openOnce();
    const engine = keyedEngine(manifest, name, run);
    const onLoad = (): void => onProgress({ phase: "load", step: 0, steps: 1, stepMs: 0 });
    const before = meter.loadMs;
    const session = await timed(() => kept.sessions.open(manifest, engine, onLoad));
    meter.deviceMs += meter.loadMs - before;
    return metered(session, meter);
  };
  const engineFile = async (name: MetricEngine, constant: string): Promise<Uint8Array> => {
    // Opening the engine has verified its files.
    const { engine } = await open(name);
    const { folder } = await openOnce();
    return await timed(() => readEngineFile(folder, engine, constant));
  };
  return {
    model,
    engine: open,
    engineDigests: run.engineDigests,
    engineFile,
    tokenizer: async () => {
      const manifest = await model();
      const engine = engineOf(manifest, "text_encode");
      return await timed(() => kept.tokenizers.take(engine.digest, () => openTokenizer(manifest, engine)));
    },
    clipTokenizer: async (name) => {
      const { engine } = await open(name);
      const read = async (): Promise<ClipPromptTokenizer> => openClipTokenizer(engine, await engineFile(name, "merges"));
      return await kept.clipTokenizers.take(engine.digest, read);
    },
  };
}

function keyedEngine(manifest: HeldManifest, name: string, { engineDigests }: StageRun): Engine {
  const engine = manifest.engines[name];
  if (engine === undefined) throw new FarmError("MODEL_INVALID", { message: `model ${manifest.folder}: engine ${name} is missing` });
  const expected = engineDigests[name];
  if (engine.digest === expected) return engine;
  const message = `engine ${name} of ${manifest.folder} has digest ${engine.digest}, the task expects ${expected ?? "none"}`;
  throw new FarmError("ENGINE_DIGEST_MISMATCH", { message });
}

async function readEngineFile(folder: string, engine: Engine, constant: string): Promise<Uint8Array> {
  const path = engine.constants[constant];
  const isOwn = typeof path === "string" && engine.files.some((file) => file.path === path);
  if (!isOwn) throw new FarmError("MODEL_INVALID", { message: `engine ${engine.name} names no file of its own as ${constant}` });
  const whole = join(folder, path);
  return await readFile(whole).catch((cause: unknown) => {
    throw new FarmError("MODEL_INVALID", { message: `${whole} cannot be read`, cause });
  });
}

/** Things that take long to open, by name; those that were not used for longest go first. */
class Shelf<T> {
  readonly #room: number;
  /** Insertion order is order of use. */
  readonly #kept = new Map<string, T>();

  constructor(room: number) {
    this.#room = room;
  }

  async take(name: string, open: () => Promise<T>): Promise<T> {
    const thing = this.#kept.get(name) ?? (await open());
    this.#kept.delete(name);
    this.#kept.set(name, thing);
    const [oldest = ""] = this.#kept.keys();
    if (this.#kept.size > this.#room) this.#kept.delete(oldest);
    return thing;
  }
}

function metered(session: EngineSession, meter: Meter): EngineSession {
  return {
    ...session,
    async run(feeds, options) {
      const startedMs = performance.now();
      try {
        return await session.run(feeds, options);
      } finally {
        meter.deviceMs += performance.now() - startedMs;
        for (const name of session.ranOn()) meter.providers.add(name);
      }
    },
  };
}
