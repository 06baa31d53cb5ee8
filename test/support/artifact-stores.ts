/**
 * Every backend of the artifact port, opened for a test file: the fake, a folder, S3 on moto, JetStream on a real NATS server.
 */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import type { ArtifactStore, OpenStore } from "../../services/platform/artifacts/artifact-store.ts";
import { openFolderStore } from "../../services/platform/artifacts/folder-store.ts";
import { openArtifactStore } from "../../services/platform/artifacts/open-store.ts";
import { createLogger } from "../../services/platform/logging.ts";
import { createMemoryStore } from "./memory-artifact-store.ts";
import { type Moto, motoCredentials, startMoto } from "./moto.ts";
import { startTestNats, type TestNats } from "./nats.ts";

export const backends = ["memory", "folder", "s3", "jetstream"] as const;
export type Backend = (typeof backends)[number];

export type Stores = {
  /** An empty store of its own. */
  open(backend: Backend, folder: string): Promise<ArtifactStore>;
  stop(): Promise<void>;
};

/** What a process that the test starts needs to reach moto. */
export function motoSettings(endpoint: string): Readonly<Record<string, string>> {
  return {
    ...motoCredentials,
    VAPFARM_ARTIFACTS_S3_ENDPOINT: endpoint,
    VAPFARM_ARTIFACTS_S3_PATH_STYLE: "1",
    AWS_EC2_METADATA_DISABLED: "true",
  };
}

/** Lets the AWS SDK of this process find moto's credentials. */
export function useMotoCredentials(): void {
  Object.assign(process.env, motoCredentials, { AWS_EC2_METADATA_DISABLED: "true" });
}

/** A store on a bucket of moto, or of what stands before it. */
export async function openOnMoto(moto: Moto, endpoint = moto.endpoint): Promise<OpenStore> {
  const bucket = `farm-${randomUUID()}`;
  await moto.createBucket(bucket);
  return openArtifactStore(`s3://${bucket}/some/prefix`, {
    s3: { endpoint, region: undefined, pathStyle: true },
    natsUrl: "",
    name: "test",
    logger: createLogger({ name: "test", level: "silent" }),
  });
}

/** A store on a new bucket of a NATS server. */
export function openOnNats(url: string, address = `jetstream:${randomUUID()}`): Promise<OpenStore> {
  return openArtifactStore(address, {
    s3: { endpoint: undefined, region: undefined, pathStyle: false },
    natsUrl: url,
    name: "test",
    logger: createLogger({ name: "test", level: "silent" }),
  });
}

/** Starts what the backends need; call `stop` in afterAll. */
export async function startStores(): Promise<Stores> {
  useMotoCredentials();
  const [moto, nats]: [Moto, TestNats] = await Promise.all([startMoto(), startTestNats()]);
  const opened: OpenStore[] = [];
  const kept = async (opening: Promise<OpenStore>): Promise<ArtifactStore> => {
    const store = await opening;
    opened.push(store);
    return store;
  };
  return {
    open(backend, folder) {
      switch (backend) {
        case "memory":
          return Promise.resolve(createMemoryStore());
        case "folder":
          return openFolderStore(join(folder, "store"));
        case "s3":
          return kept(openOnMoto(moto));
        case "jetstream":
          return kept(openOnNats(nats.url));
      }
    },
    async stop() {
      for (const store of opened) await store.close();
      await Promise.all([moto.stop(), nats.stop()]);
    },
  };
}
