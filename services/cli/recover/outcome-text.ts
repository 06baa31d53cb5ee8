/**
 * What recovering did, in words: pure.
 */
import { bytesText } from "../../domain/bytes-text.ts";
import type { RecoverOutcome } from "./recover-farm.ts";

/** Lines for people. */
export function outcomeText(outcome: RecoverOutcome): readonly string[] {
  return [
    headOf(outcome),
    `  sessions ended        ${outcome.sessions}`,
    `  runs taken back       ${outcome.attempts} (uncharged; they go on at their last checkpoints)`,
    `  artifacts compared    ${outcome.checked}, missing ${outcome.missing}`,
    ...missingText(outcome),
    `  events copied anew    ${outcome.events}`,
    orphanText(outcome),
    ...(outcome.repaired === 0 ? [] : [`  repaired              ${outcome.repaired} rows; report this as a bug`]),
    ...lossText(outcome),
  ];
}

function headOf({ isDone, isRefused, epoch }: RecoverOutcome): string {
  if (isDone) return `recovered: the farm's epoch is ${epoch}`;
  if (!isRefused) return "nothing was changed; with --yes this is done:";
  return "nothing was changed; so much is missing that --yes is refused: is it the right store? With --yes --accept-losses this is done:";
}

function missingText({ missing, backend, isDone, tasksAgain, checkpoints, partialUploads }: RecoverOutcome): readonly string[] {
  if (missing === 0) return [];
  return [
    ...(backend === "s3" && !isDone
      ? ["    In a bucket with versions they are probably there still: take the delete markers away before --yes (deploy/RUNBOOK.md)"]
      : []),
    `  tasks that run again  ${tasksAgain}`,
    `  checkpoints lost      ${checkpoints} (their tasks start anew)`,
    `  uploads to begin anew ${partialUploads}`,
  ];
}

function orphanText({ orphans }: RecoverOutcome): string {
  if (orphans === undefined) return "  without a row         unknown: this store cannot say what it holds";
  const { count, bytes, areDeleted } = orphans;
  const found = `  without a row         ${count} artifacts, ${bytesText(bytes)}`;
  if (count === 0) return found;
  return `${found}${areDeleted ? ", deleted" : " (kept; --delete-orphans deletes them)"}`;
}

function lossText({ losses }: RecoverOutcome): readonly string[] {
  const { uploadCount, uploads, resultCount, results, modelCount, models } = losses;
  const lost: string[] = [];
  if (uploadCount > 0)
    lost.push(`lost uploads: ${uploadCount}. Upload them again; jobs that need one fail with ARTIFACT_MISSING until then`);
  for (const { tenant, sha256, jobs } of uploads)
    lost.push(`  ${sha256} of ${tenant}${jobs.length === 0 ? "" : `, needed by ${jobs.join(", ")}`}`);
  if (resultCount > 0) lost.push(`lost results: ${resultCount}. Submit their renders again`);
  for (const { job, position, artifact } of results) lost.push(`  ${artifact} of render ${position} of job ${job}`);
  if (modelCount > 0) {
    lost.push(`versions of models that lack chunks: ${modelCount}. Push the folder of each again; only what is missing is sent:`);
    for (const { name, version, chunks } of models)
      lost.push(`  vapfarm models push FOLDER --name ${name}     ${name}:${version} lacks ${chunks} chunk${chunks === 1 ? "" : "s"}`);
  }
  return lost;
}
