/**
 * Brings an attempt's inputs to this machine: in parallel, each artifact once, every fetched byte hashed.
 */
import { join } from "node:path";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import type { ClaimInput } from "../../gen/proto/vapfarm/v1/dispatch.ts";
import type { StageInput } from "../../gen/proto/vapfarm/v1/stage.ts";
import type { ArtifactStore } from "../../platform/artifacts/artifact-store.ts";
import { fetchToFile } from "../../platform/artifacts/fetch.ts";
import type { ArtifactCache } from "./artifact-cache.ts";

export type InputSources = { readonly store: ArtifactStore; readonly cache: ArtifactCache };

/** Paths of the inputs by name; a FarmError with `details.badInputs` lists every artifact that is missing or corrupt. */
export async function fetchInputs(
  sources: InputSources,
  wanted: { readonly inputs: readonly ClaimInput[]; readonly folder: string },
  signal: AbortSignal,
): Promise<StageInput[]> {
  const artifacts = new Map(wanted.inputs.map((input) => [input.sha256, input]));
  const pathOf = (sha256: string): string => join(wanted.folder, sha256);
  const fetches = [...artifacts.values()].map((input) => fetchOne(sources, { input, path: pathOf(input.sha256) }, signal));
  const outcomes = await Promise.allSettled(fetches);
  throwFailures(outcomes.map((outcome, index) => ({ outcome, sha256: [...artifacts.keys()][index] ?? "" })));
  return wanted.inputs.map(({ name, sha256 }) => ({ name, source: { $case: "path", value: pathOf(sha256) } }));
}

type Fetched = { readonly outcome: PromiseSettledResult<void>; readonly sha256: string };

function throwFailures(fetched: readonly Fetched[]): void {
  const failures = fetched.flatMap(({ outcome, sha256 }) =>
    outcome.status === "rejected" ? [{ sha256, error: toFarmError(outcome.reason, "ARTIFACT_STORE_UNAVAILABLE") }] : [],
  );
  const bad = failures.filter(({ error }) => error.code === "ARTIFACT_MISSING" || error.code === "ARTIFACT_CORRUPT");
  const first = bad[0] ?? failures[0];
  if (first === undefined) return;
  const { error } = first;
  if (bad.length === 0) throw error;
  const badInputs = bad.map(({ sha256 }) => sha256);
  throw new FarmError(error.code, { message: `${error.message}: ${badInputs.join(", ")}`, details: { badInputs }, cause: error });
}

async function fetchOne(
  { store, cache }: InputSources,
  { input, path }: { readonly input: ClaimInput; readonly path: string },
  signal: AbortSignal,
): Promise<void> {
  const { sha256 } = input;
  if (await cache.take(sha256, path)) return;
  await fetchToFile(store, { sha256, path }, signal);
  await cache.keep({ sha256, sizeBytes: Number(input.sizeBytes) }, path);
}
