/**
 * The files of a batch: all looked at before anything is sent, each distinct content sent once.
 */
import { stat } from "node:fs/promises";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import { hashFile } from "../../platform/artifacts/fetch.ts";
import type { FarmClient } from "../../client/farm-client.ts";
import type { CliContext } from "../context.ts";
import type { FileFault } from "../file-faults.ts";
import { mapBounded } from "./bounded.ts";
import type { BatchPlan, PlannedMedia } from "./plan.ts";

const atOnce = 4;

/** Every place that names a file that is not there. */
export async function missingFiles(plan: BatchPlan): Promise<readonly FileFault[]> {
  const places = [...fileUses(plan)];
  const checked = await mapBounded(places, 32, async ([path, { place, field }]) => {
    const found = await stat(path).catch(() => undefined);
    if (found?.isFile() === true) return [];
    const reason = found === undefined ? `there is no file ${path}` : `${path} is no file`;
    return [{ ...place, field, reason, expected: "the path of an image or clip, relative to this file, or an https:// or s3:// address" }];
  });
  return checked.flat();
}

/** Path → SHA-256, of every file of the batch. */
export async function hashFiles(plan: BatchPlan, signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
  const paths = [...fileUses(plan).keys()];
  const hashes = await mapBounded(paths, atOnce, async (path) => (await hashFile(path, signal)).sha256);
  return new Map(paths.map((path, index) => [path, hashes[index] ?? ""]));
}

/** Uploads each distinct content once; a refusal names the file. */
export async function uploadFiles(
  { output, interrupts }: CliContext,
  { client, hashes, asJson }: { readonly client: FarmClient; readonly hashes: ReadonlyMap<string, string>; readonly asJson: boolean },
): Promise<void> {
  const distinct = new Map([...hashes].map(([path, sha256]) => [sha256, path]));
  await mapBounded([...distinct.values()], atOnce, async (path) => {
    const { kind, width, height } = await client.upload(path, { signal: interrupts.signal }).catch((thrown: unknown) => {
      const error = toFarmError(thrown);
      throw new FarmError(error.code, { message: `${path}: ${error.message}`, details: error.details, cause: error });
    });
    if (!asJson) output.note(`uploaded ${path}: ${kind} ${width}x${height}`);
  });
}

/** Path → the first place that names it. */
function fileUses(plan: BatchPlan): ReadonlyMap<string, PlannedMedia> {
  const uses = new Map<string, PlannedMedia>();
  for (const { image, references } of plan.renders) {
    for (const use of [image, ...references]) {
      if (use.media.kind === "file" && !uses.has(use.media.path)) uses.set(use.media.path, use);
    }
  }
  return uses;
}
