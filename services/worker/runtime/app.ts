/**
 * Builds the runtime: inference thread first, then the server, so that what answers can also run.
 */
import type { FarmError } from "../../domain/errors.ts";
import { StageServiceService } from "../../gen/proto/vapfarm/v1/stage.ts";
import { createGrpcServer } from "../../platform/grpc/server.ts";
import { openJournal } from "../../platform/journal.ts";
import { type Component, sequence } from "../../platform/lifecycle.ts";
import type { Logger } from "../../platform/logging.ts";
import { installedOnnxruntimeVersion, runtimeProfile } from "../../platform/profile.ts";
import { createTracer } from "../../platform/tracing/create-tracer.ts";
import type { RuntimeConfig } from "./config.ts";
import { journaledInference, type RunLine } from "./run-journal.ts";
import { createStageService, type RuntimeIdentity } from "./stage-service.ts";
import { tracedInference } from "./traced-inference.ts";
import { createInferenceClient, type InferenceClient } from "./thread/inference-client.ts";

export type RuntimeApp = Component & { address(): string };

export type RuntimeAppOptions = {
  readonly processId: number;
  readonly logger: Logger;
  /** Called when the inference thread is gone; the process should end. */
  readonly onDeath: (error: FarmError) => void;
};

const maxMessageBytes = 16 * 1024 ** 2;
const drainMs = 500;

/** Nothing runs before `start`. */
export function createRuntimeApp(config: RuntimeConfig, options: RuntimeAppOptions): RuntimeApp {
  const identity = identityOf(config, options.processId);
  const { logger } = options;
  const tracer = createTracer({ config: config.tracing, service: "runtime", logger, onDropped: () => undefined });
  const inference = tracedInference(journaled(createInferenceClient(config.inference, options.onDeath), config, options), tracer);
  const implementation = createStageService({ identity, inference, logger });
  const server = createGrpcServer({
    address: config.address,
    services: [{ name: "vapfarm.v1.StageService", definition: StageServiceService, implementation }],
    maxMessageBytes,
    reflection: undefined,
    drainMs,
  });
  return { ...sequence([tracer, inference, server]), address: () => server.address() };
}

function journaled(inference: InferenceClient, { journalFolder: folder }: RuntimeConfig, options: RuntimeAppOptions): InferenceClient {
  if (folder === undefined) return inference;
  const journal = openJournal<RunLine>(folder, "runtime", options.logger);
  journal.write({ kind: "opened", processId: options.processId });
  return journaledInference(inference, journal);
}

function identityOf({ inference, architecture }: RuntimeConfig, processId: number): RuntimeIdentity {
  const onnxruntimeVersion = installedOnnxruntimeVersion();
  const { providers, threads } = inference;
  const profileOf = (some: readonly string[]): string => runtimeProfile({ providers: some, threads, onnxruntimeVersion, architecture });
  return {
    provider: providers.join(","),
    profile: profileOf(providers),
    profileOf,
    onnxruntimeVersion,
    threads,
    processId,
  };
}
