/**
 * A job whose renders come as a manifest: stored part by part in one transaction, so that neither a statement nor this process holds it whole.
 *
 * Invariants: all renders are stored or none; the transaction lasts as long as the parts take to read from a local file, never as long as a
 * client takes to send them.
 */
import { type Connection, inTransaction } from "../../platform/database/pool.ts";
import { callWithin } from "./long-call.ts";
import { storeRunStatement } from "./sql/runs.ts";
import { addRendersStatement, beginManifestStatement, finishManifestStatement } from "./sql/submit.ts";
import { type StoreContext, toPayload } from "./store-context.ts";
import type { Aftermath, Full, Manifest, MissingUpload } from "./store-contract.ts";
import { missingUploads } from "./submit-payload.ts";
import { keepJobTrace } from "./traces.ts";

type Begun = { readonly kind: "begun" } | { readonly kind: "repeated" | "conflict"; readonly jobId: string } | Full;
type Finished =
  | { readonly kind: "stored"; readonly jobId: string; readonly aftermath: Aftermath }
  | { readonly kind: "invalid"; readonly missing: readonly string[] };

/** What storing a manifest came to. */
export type ManifestStored = Exclude<Begun, { kind: "begun" }> | Finished;

/** Stores the manifest, or nothing. */
export async function storeManifest({ pool, settings }: StoreContext, manifest: Manifest): Promise<ManifestStored> {
  return await inTransaction(pool, async (connection) => {
    const outcome = await storeWithin(connection, manifest, toPayload(settings.limits));
    // Ends what the transaction has done; the commit that follows then has nothing to commit.
    if (outcome.kind !== "stored") await connection.query("rollback and chain");
    return outcome;
  });
}

async function storeWithin(connection: Connection, { parts, run, traceparent, ...job }: Manifest, limits: string): Promise<ManifestStored> {
  const begun = await callWithin<Begun>(connection, beginManifestStatement, [toPayload(job), limits]);
  if (begun.kind !== "begun") return begun;
  let first = 0;
  for await (const part of parts()) {
    const rows = part.map(({ render, ...rest }) => ({ spec: render, ...rest }));
    await callWithin(connection, addRendersStatement, [job.jobId, first, toPayload(rows), true]);
    first += part.length;
  }
  const finished = await callWithin<Finished>(connection, finishManifestStatement, [job.jobId]);
  if (finished.kind === "stored") await keepJobTrace(connection, job.jobId, traceparent);
  if (finished.kind === "stored" && run !== undefined) await callWithin(connection, storeRunStatement, [job.jobId, toPayload(run)]);
  return finished;
}

/** The first fields of the manifest that name uploads which are missing. */
export async function missingOfManifest({ parts }: Manifest, missing: readonly string[], most: number): Promise<readonly MissingUpload[]> {
  const found: MissingUpload[] = [];
  let first = 0;
  for await (const part of parts()) {
    const named = part.map(({ render }, index) => ({ position: first + index, spec: render }));
    found.push(...missingUploads(named, missing));
    if (found.length >= most) break;
    first += part.length;
  }
  return found.slice(0, most);
}
