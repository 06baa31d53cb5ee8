import { describe, expect, it } from "vitest";
import { createMediaParts } from "../../../services/coordinator/app-media.ts";
import { readCoordinatorConfig } from "../../../services/coordinator/config.ts";
import type { Store } from "../../../services/coordinator/store/store-contract.ts";
import { createLogger } from "../../../services/platform/logging.ts";
import { createMemoryStore } from "../../support/memory-artifact-store.ts";

const config = readCoordinatorConfig({
  DATABASE_URL: "postgres://x",
  NATS_URL: "nats://x",
  VAPFARM_MODELS: "/models",
  VAPFARM_ARTIFACTS: "jetstream:farm",
  VAPFARM_STATE_FOLDER: "/state",
  VAPFARM_POOLS: '[{"name":"a","profile":"x"}]',
  VAPFARM_MEDIA_MAX_BYTES: "1000",
});

function mostBytesWith(mostBytes: number | undefined): number {
  const artifacts = { ...createMemoryStore(), ...(mostBytes === undefined ? {} : { mostBytes }) };
  const media = { inspect: () => Promise.reject(new TypeError("nothing is inspected")) };
  const logger = createLogger({ name: "test", level: "silent" });
  // Nothing of the store is used while the parts are built.
  const resources = { store: {} as Store, artifacts, media };
  return createMediaParts({ config, resources, logger, temporaryFolder: "/tmp", httpAddress: () => "127.0.0.1:1" }).begin.maxBytes;
}

describe("the largest upload", () => {
  it("is what the settings allow, or what the artifact store takes if that is less", () => {
    expect([mostBytesWith(undefined), mostBytesWith(5_000), mostBytesWith(500)]).toEqual([1_000, 1_000, 500]);
  });
});
