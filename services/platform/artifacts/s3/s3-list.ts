/**
 * What a bucket holds of a farm's artifacts, a thousand keys a request; other keys are somebody else's.
 */
import { ListObjectsV2Command } from "@aws-sdk/client-s3";
import type { ArtifactStat } from "../artifact-store.ts";
import { bounded } from "../bounded.ts";
import type { S3Place } from "./s3-client.ts";
import { failureOf } from "./s3-failure.ts";

const keyPattern = /^(?<folder>[0-9a-f]{2})\/(?<sha256>[0-9a-f]{64})$/;

export async function* listObjects({
  client,
  bucket,
  prefix,
  timings,
}: S3Place): AsyncGenerator<ArtifactStat & { readonly sha256: string }> {
  let next: string | undefined;
  do {
    const command = new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, ContinuationToken: next });
    const page = await bounded({ ms: timings.answerMs, what: "a list" }, (abortSignal) => client.send(command, { abortSignal })).catch(
      (thrown: unknown) => {
        throw failureOf(thrown, "a list");
      },
    );
    for (const { Key: key = "", Size: sizeBytes = 0 } of page.Contents ?? []) {
      const { folder, sha256 } = keyPattern.exec(key.slice(prefix.length))?.groups ?? {};
      if (sha256 !== undefined && folder === sha256.slice(0, 2)) yield { sha256, sizeBytes };
    }
    next = page.NextContinuationToken;
  } while (next !== undefined);
}
