/**
 * The settings of artifact stores, as coordinator and worker read them: environment variable → schema.
 */
import { z } from "zod";
import { switchFlag } from "../config.ts";
import type { S3Settings } from "./s3/s3-client.ts";
import { parseStoreAddress } from "./store-address.ts";

const endpoint = z.url({ protocol: /^https?$/ });

const address = z.string().superRefine((text, context) => {
  try {
    parseStoreAddress(text);
  } catch (thrown) {
    context.addIssue({ code: "custom", message: thrown instanceof Error ? thrown.message : String(thrown) });
  }
});

/** Of every process that moves artifacts. */
export const artifactSettings = {
  VAPFARM_ARTIFACTS: address,
  VAPFARM_ARTIFACTS_S3_ENDPOINT: endpoint.optional(),
  VAPFARM_ARTIFACTS_S3_REGION: z.string().min(1).optional(),
  VAPFARM_ARTIFACTS_S3_PATH_STYLE: switchFlag.default(false),
} as const;

/** Of the coordinator, which gives out addresses. */
export const presignSettings = {
  VAPFARM_ARTIFACTS_S3_PRESIGN: switchFlag.default(false),
  VAPFARM_ARTIFACTS_S3_PUBLIC_ENDPOINT: endpoint.optional(),
} as const;

type Given = z.output<z.ZodObject<typeof artifactSettings>> & Partial<z.output<z.ZodObject<typeof presignSettings>>>;

/** What an S3 store is opened with. */
export function s3SettingsOf(given: Given): S3Settings {
  return {
    endpoint: given.VAPFARM_ARTIFACTS_S3_ENDPOINT,
    region: given.VAPFARM_ARTIFACTS_S3_REGION,
    pathStyle: given.VAPFARM_ARTIFACTS_S3_PATH_STYLE,
    ...(given.VAPFARM_ARTIFACTS_S3_PRESIGN === true ? { presign: { endpoint: given.VAPFARM_ARTIFACTS_S3_PUBLIC_ENDPOINT } } : {}),
  };
}
