/**
 * Address of an artifact store → the store.
 */
import type { Logger } from "../logging.ts";
import { connectBroker } from "../nats/broker.ts";
import type { OpenStore } from "./artifact-store.ts";
import { openFolderStore } from "./folder-store.ts";
import { openJetStreamStore } from "./jetstream-store.ts";
import type { S3Settings } from "./s3/s3-client.ts";
import type { S3Address } from "./s3/s3-store.ts";
import { type JetStreamAddress, parseStoreAddress } from "./store-address.ts";

/** What backends need beside the address. */
export type StoreSurroundings = {
  readonly s3: S3Settings;
  /** Where NATS answers, for a bucket of JetStream. */
  readonly natsUrl: string;
  /** Shown by NATS among its connections. */
  readonly name: string;
  readonly logger: Logger;
  /** Whether this process removes what killed ones left. */
  readonly sweeps?: boolean;
};

/** Opens it and looks whether it answers; CONFIG_INVALID for what is no store, ARTIFACT_STORE_UNAVAILABLE when it does not answer. */
export async function openArtifactStore(address: string, surroundings: StoreSurroundings): Promise<OpenStore> {
  const parsed = parseStoreAddress(address);
  switch (parsed.kind) {
    case "folder":
      return { ...(await openFolderStore(parsed.path)), close: () => Promise.resolve() };
    case "s3":
      return openOnS3(parsed, surroundings.s3);
    case "jetstream":
      return openOverNats(parsed, surroundings);
  }
}

/** The SDK is loaded where it is used: it takes a worker's start a third of a second, and memory. */
async function openOnS3(address: S3Address, settings: S3Settings): Promise<OpenStore> {
  const { openS3Store } = await import("./s3/s3-store.ts");
  return openS3Store(address, settings);
}

async function openOverNats(address: JetStreamAddress, { natsUrl, name, logger, sweeps = false }: StoreSurroundings): Promise<OpenStore> {
  const broker = await connectBroker({ url: natsUrl, name: `${name}, artifacts`, logger });
  try {
    return await openJetStreamStore(address, { broker, sweeps });
  } catch (thrown) {
    await broker.close();
    throw thrown;
  }
}
