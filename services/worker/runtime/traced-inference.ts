/**
 * The runtime's spans: of each run that its caller traces, and within it what the device did: waiting for the slot, loading, each kind of work
 * that the run tells progress of, writing the outputs.
 *
 * What waits to be sent leaves at the end of each run, because this process may be killed at any time.
 */
import { basename } from "node:path";
import { toFarmError } from "../../domain/errors.ts";
import type { OpenSpan, Tracer, TracerComponent } from "../../platform/tracing/tracer.ts";
import type { StageProgress, StageResult, StageRun } from "./stage-run.ts";
import { type ClientRunOptions, type InferenceClient, withRun } from "./thread/inference-client.ts";

/** Of one denoise: so many of its steps have events, evenly spread. */
const mostSteps = 64;

/** The same inference, its runs traced; where tracing is off, it itself. */
export function tracedInference(inference: InferenceClient, tracer: TracerComponent): InferenceClient {
  if (!tracer.isOn) return inference;
  return withRun(inference, async (run, options) => {
    if (options.trace?.isSampled !== true) return inference.run(run, options);
    const spans = new RunSpans(tracer, run, options);
    try {
      const result = await inference.run(run, spans.heard);
      spans.succeeded(result);
      return result;
    } catch (thrown) {
      spans.failed(toFarmError(thrown).code);
      throw thrown;
    } finally {
      tracer.flush();
    }
  });
}

/** One run: a span for it, and one at a time for what it does. */
class RunSpans {
  readonly heard: ClientRunOptions;
  private readonly tracer: Tracer;
  private readonly whole: OpenSpan;
  private part: OpenSpan;
  private phase = "";

  constructor(tracer: Tracer, run: StageRun, options: ClientRunOptions) {
    const { runId, modelFolder, work } = run;
    const attributes = {
      "vapfarm.attempt": runId,
      "vapfarm.stage": work.stage,
      "vapfarm.model": modelFolder === "" ? undefined : basename(modelFolder),
      "vapfarm.from_checkpoint": "checkpoint" in run.inputs,
    };
    this.tracer = tracer;
    this.whole = tracer.begin(`run ${work.stage}`, { parent: options.trace, kind: "server", attributes });
    this.part = this.begin("wait slot");
    this.heard = this.around(options);
  }

  succeeded({ loadMs, computeMs, deviceMs, providers }: StageResult): void {
    this.part.end();
    const times = { "vapfarm.load_ms": loadMs, "vapfarm.compute_ms": computeMs, "vapfarm.device_ms": deviceMs };
    this.whole.set({ ...times, "vapfarm.provider": providers.length === 0 ? "cpu" : providers.join(",") });
    this.whole.end();
  }

  failed(code: string): void {
    this.part.end(code);
    this.whole.end(code);
  }

  private begin(name: string): OpenSpan {
    return this.tracer.begin(name, { parent: this.whole.context });
  }

  private enter(name: string): void {
    this.part.end();
    this.part = this.begin(name);
  }

  private around(options: ClientRunOptions): ClientRunOptions {
    return {
      ...options,
      onStarted: (idleMs) => {
        this.enter("start");
        options.onStarted(idleMs);
      },
      onProgress: (progress) => {
        this.hear(progress);
        options.onProgress(progress);
      },
      onCheckpoint: (checkpoint) => {
        const { step, bytes, tookMs, failure } = checkpoint;
        this.part.event("checkpoint", { step, bytes, took_ms: tookMs, is_written: failure === "" });
        options.onCheckpoint(checkpoint);
      },
      onComputed: () => {
        this.phase = "write";
        this.enter("write outputs");
        options.onComputed();
      },
    };
  }

  private hear({ phase, step, steps, stepMs }: StageProgress): void {
    if (phase !== this.phase) {
      this.phase = phase;
      this.enter(phase);
    }
    if (phase !== "denoise" || step === 0 || step % Math.ceil(steps / mostSteps) !== 0) return;
    this.part.event("step", { step, steps, step_ms: stepMs });
  }
}
