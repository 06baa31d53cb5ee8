/**
 * The artifact store that a command works on by itself, with the settings that the services have.
 */
import { z } from "zod";
import { FarmError } from "../domain/errors.ts";
import type { OpenStore } from "../platform/artifacts/artifact-store.ts";
import { openArtifactStore } from "../platform/artifacts/open-store.ts";
import { artifactSettings, s3SettingsOf } from "../platform/artifacts/store-settings.ts";
import { type Environment, parseConfig } from "../platform/config.ts";
import { createLogger } from "../platform/logging.ts";

/** Throws CONFIG_INVALID and ARTIFACT_STORE_UNAVAILABLE. */
export async function openArtifacts(address: string, environment: Environment): Promise<OpenStore> {
  const settings = parseConfig(z.object(artifactSettings), { ...environment, VAPFARM_ARTIFACTS: address });
  const natsUrl = environment["NATS_URL"] ?? "";
  if (address.startsWith("jetstream:") && natsUrl === "") {
    throw new FarmError("CONFIG_INVALID", { message: "NATS_URL is not set: the artifact store is a bucket of JetStream" });
  }
  const logger = createLogger({ name: "vapfarm", level: "warn" });
  return openArtifactStore(address, { s3: s3SettingsOf(settings), natsUrl, name: "vapfarm", logger });
}
