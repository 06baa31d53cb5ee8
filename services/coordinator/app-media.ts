/**
 * The part of `app.ts` that builds how media and results go in and out, and how the outside is reached: uploads, media by address,
 * downloads, signed addresses, webhooks.
 */
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import type { FieldViolation } from "../domain/errors.ts";
import { createAddressFetcher } from "../platform/fetch/address-fetcher.ts";
import { type Network, systemNetwork } from "../platform/fetch/guarded-request.ts";
import { createS3Reader } from "../platform/fetch/s3-reader.ts";
import { createWebhookSender, type WebhookSender } from "../platform/fetch/webhook-sender.ts";
import { reachableAddress } from "../platform/http/reachable-address.ts";
import type { Logger } from "../platform/logging.ts";
import { createMessageJson } from "../platform/protojson/message-json.ts";
import { createSlots } from "../platform/slots.ts";
import type { CoordinatorMetrics } from "./metrics.ts";
import type { Resources } from "./resources.ts";
import type { CoordinatorConfig } from "./config.ts";
import type { DutySpec } from "./duties/duty.ts";
import { webhookEventOf } from "./duties/webhook-event.ts";
import { createWebhooks } from "./duties/webhooks.ts";
import { createSigningKey } from "./http/signing-key.ts";
import type { SignedArtifactOptions } from "./http/signed-artifact.ts";
import type { ArtifactUrlDependencies } from "./rpc/artifact-url.ts";
import type { BeginDependencies } from "./rpc/begin-upload.ts";
import type { DownloadDependencies } from "./rpc/download-artifact.ts";
import { createMediaResolver, type MediaResolver } from "./rpc/resolve-media.ts";
import type { UploadDependencies } from "./rpc/upload-media.ts";

/** What they are built from. */
export type MediaPartsOptions = {
  readonly config: CoordinatorConfig;
  readonly resources: Pick<Resources, "store" | "artifacts" | "media">;
  /** The system's when absent. */
  readonly network?: Network;
  readonly logger: Logger;
  readonly temporaryFolder: string;
  /** host:port, known once the HTTP side has started. */
  readonly httpAddress: () => string;
};

/** What methods, routes and duties of this part work with. */
export type MediaParts = {
  readonly upload: UploadDependencies;
  readonly begin: BeginDependencies;
  readonly download: DownloadDependencies;
  readonly artifactUrl: ArtifactUrlDependencies;
  /** Of the signed addresses' route, but for how failures are answered. */
  readonly signed: Omit<SignedArtifactOptions, "fail">;
  readonly media: MediaResolver;
  readonly checkWebhook: (url: string) => FieldViolation | undefined;
  readonly sender: WebhookSender;
};

const uploadIdleMs = 60_000;
const uploadLifetimeMs = 24 * 3600 * 1000;
const partBytes = 8 * 1024 * 1024;
const fetchIdleMs = 10_000;
const fetchesAtATime = 8;
const filesOfOneCall = 4;
const webhookTimeoutMs = 10_000;

/** Builds them; nothing connects yet. */
export function createMediaParts({ config, resources, network = systemNetwork, logger, ...place }: MediaPartsOptions): MediaParts {
  const { store, artifacts } = resources;
  const { temporaryFolder, httpAddress } = place;
  const now = (): Date => new Date();
  const signingKey = createSigningKey(store);
  // What the store will not take is refused before it is sent.
  const maxBytes = Math.min(config.VAPFARM_MEDIA_MAX_BYTES, artifacts.mostBytes ?? Infinity);
  const inspection = {
    inspect: resources.media.inspect,
    inspections: createSlots(config.VAPFARM_MEDIA_INSPECTIONS),
  };
  const kept = { ...inspection, store, artifacts, temporaryFolder, maxBytes };
  const sender = createWebhookSender({ allowed: config.VAPFARM_WEBHOOK_TARGETS, network, timeoutMs: webhookTimeoutMs, now });
  return {
    upload: { ...kept, uploads: createSlots(config.VAPFARM_UPLOADS), idleMs: uploadIdleMs, partBytes },
    begin: { store, newUploadId: randomUUID, maxBytes, lifetimeMs: uploadLifetimeMs },
    download: { store, artifacts },
    artifactUrl: { store, signingKey, publicUrl: () => config.VAPFARM_PUBLIC_URL ?? `http://${reachableAddress(httpAddress())}`, now },
    signed: { store, artifacts, signingKey, now, logger },
    media: createMediaResolver({
      ...kept,
      fetcher: createFetcher(config, network),
      fetches: createSlots(fetchesAtATime),
      maxBytesOfCall: filesOfOneCall * maxBytes,
    }),
    checkWebhook: (url) => webhookRefusal(sender, url),
    sender,
  };
}

function createFetcher(config: CoordinatorConfig, network: Network) {
  return createAddressFetcher({
    allowed: config.VAPFARM_MEDIA_SOURCES,
    network,
    s3: createS3Reader({ endpoint: config.VAPFARM_S3_ENDPOINT, region: config.VAPFARM_S3_REGION, network }),
    timeoutMs: config.VAPFARM_FETCH_TIMEOUT_MS,
    idleMs: fetchIdleMs,
  });
}

function webhookRefusal(sender: WebhookSender, url: string): FieldViolation | undefined {
  const reason = sender.refusalOf(url);
  const remedy = "name a public https address, or ask the operator to allow this one";
  return reason === undefined ? undefined : { field: "webhook.url", reason, remedy };
}

/** What the duty works with. */
export type WebhookDutyOptions = {
  readonly store: Resources["store"];
  /** File of the serialized FileDescriptorSet of the farm's protos. */
  readonly descriptors: string;
  readonly sender: WebhookSender;
  readonly intervalMs: number;
  readonly budgetMs: number;
  readonly logger: Logger;
  readonly onTry: CoordinatorMetrics["onWebhookTry"];
};

/** The duty that delivers webhooks. */
export function createWebhookDuty(options: WebhookDutyOptions): DutySpec {
  const clock = (): number => performance.now();
  const body = { store: options.store, toJson: createMessageJson(readFileSync(options.descriptors)) };
  return createWebhooks({ ...options, bodyOf: (due) => webhookEventOf(body, due), clock, draw: Math.random });
}
