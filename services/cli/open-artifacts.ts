/**
 * The artifact store that a command works on by itself, with the settings that the services have.
 */
import { z } from "zod";
import { FarmError } from "../domain/errors.ts";
import type { OpenStore } from "../platform/artifacts/artifact-store.ts";
import { openArtifactStore } from "../platform/artifacts/open-store.ts";
import { artifactSettings, s3SettingsOf } from "../platform/artifacts/store-settings.ts";
import { type Environment, parseConfig } from "../platform/config.ts";
import { createLogger, type LogLevel } from "../platform/logging.ts";

export type OpenArtifacts = {
  readonly environment: Environment;
  /** The environment's when absent. */
  readonly natsUrl?: string;
  /** Shown by NATS among its connections. */
  readonly name: string;
  readonly logLevel: LogLevel;
};

/** Throws CONFIG_INVALID and ARTIFACT_STORE_UNAVAILABLE. */
export async function openArtifacts(address: string, { environment, natsUrl: told, name, logLevel }: OpenArtifacts): Promise<OpenStore> {
  const settings = parseConfig(z.object(artifactSettings), { ...environment, VAPFARM_ARTIFACTS: address });
  const natsUrl = told ?? environment["NATS_URL"] ?? "";
  if (address.startsWith("jetstream:") && natsUrl === "") {
    throw new FarmError("CONFIG_INVALID", { message: "NATS_URL is not set: the artifact store is a bucket of JetStream" });
  }
  return openArtifactStore(address, { s3: s3SettingsOf(settings), natsUrl, name, logger: createLogger({ name, level: logLevel }) });
}
