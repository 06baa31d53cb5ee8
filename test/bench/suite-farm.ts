/**
 * A suite through a real farm: uploads, import, one benchmark run with every metric, and what it came to.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { present } from "../../services/client/farm-client.ts";
import { decodeSafetensors } from "../../services/domain/tensors/safetensors.ts";
import type { Tensor } from "../../services/domain/tensors/tensor.ts";
import { type RunItem, SuiteRow } from "../../services/gen/proto/vapfarm/v1/bench.ts";
import { RenderSpec, Reuse } from "../../services/gen/proto/vapfarm/v1/farm.ts";
import { OutputKind } from "../../services/gen/proto/vapfarm/v1/stage.ts";
import { collect } from "../support/collect.ts";
import type { TestFarm } from "../support/farm.ts";
import type { BenchRow, BenchSuite } from "./suite-rows.ts";

export type FarmRun = {
  readonly runId: string;
  /** From the first upload to the run's end. */
  readonly seconds: number;
  /** In order of rows. */
  readonly items: readonly RunItem[];
};

/** Runs all rows once, one seed each; throws where a render or a score is missing. */
export async function runSuite(farm: TestFarm, suite: BenchSuite, steps: number): Promise<FarmRun> {
  const { client } = farm;
  const began = performance.now();
  const rows: SuiteRow[] = [];
  for (const [position, row] of suite.rows.entries()) rows.push(await uploadRow(farm, suite.folder, { position, row }));
  const imported = await client.importSuite({ header: { name: "benchmark", suiteId: "" }, rows });
  if (imported.faults.length > 0) throw new TypeError(`rows are wrong: ${JSON.stringify(imported.faults)}`);
  const started = await client.startRun({ suite: present(imported.suite, "suite").suiteId, model: "demo", steps });
  const { runId } = present(started.run, "run");
  await ended(farm, runId);
  const seconds = (performance.now() - began) / 1000;
  const run = present((await client.calls.getRun({ runId })).run, "run");
  if (run.succeededCount !== rows.length || run.endedScores !== run.scoreCount)
    throw new TypeError(`the run came to ${run.succeededCount} renders and ${run.endedScores} scores of ${run.scoreCount}`);
  return { runId, seconds, items: await collect(client.runItems({ runId })) };
}

async function uploadRow(
  { client }: TestFarm,
  folder: string,
  { position, row }: { readonly position: number; readonly row: BenchRow },
): Promise<SuiteRow> {
  const [target, reference] = [await client.upload(join(folder, row.target)), await client.upload(join(folder, row.reference))];
  return SuiteRow.create({
    position,
    targetSha256: target.sha256,
    referenceSha256s: [reference.sha256],
    caption: row.caption,
    referenceCaptions: [row.referenceCaption],
    kind: row.kind,
    seed: BigInt(row.seed),
    targetPath: row.target,
    referencePaths: [row.reference],
  });
}

async function ended({ client }: TestFarm, jobId: string): Promise<void> {
  const updates = client.watch(jobId);
  while ((await updates.next()).done !== true);
}

/** The run's clips as `ROW.mp4` in a new folder. */
export async function downloadClips({ client }: TestFarm, { runId, items }: FarmRun, folder: string): Promise<void> {
  await mkdir(folder);
  for (const { renderPosition: position } of items)
    await client.download({ jobId: runId, name: "mp4", position, path: join(folder, `${position}.mp4`) });
}

/**
 * "frames" and "latents" of each row, for which a run does not ask: the same renders, asked for with these outputs. Latents are found, frames
 * are decoded anew from them.
 */
export async function tensorsOf(farm: TestFarm, { runId, items }: FarmRun): Promise<readonly ReadonlyMap<string, Tensor>[]> {
  const { client } = farm;
  const renders: RenderSpec[] = [];
  for (const { renderPosition } of items) {
    const spec = present((await client.getRender(runId, renderPosition)).spec, "spec");
    const outputs = [OutputKind.OUTPUT_KIND_FRAMES, OutputKind.OUTPUT_KIND_LATENTS];
    renders.push(RenderSpec.create({ ...spec, outputs, scores: undefined }));
  }
  const job = present((await client.submitMany({ renders, reuse: Reuse.REUSE_ALL })).job, "job");
  await ended(farm, job.jobId);
  const read = async (position: number, name: string): Promise<[string, Tensor]> => {
    const bytes = Buffer.concat(await collect(client.read({ jobId: job.jobId, position, name })));
    return [name, present(decodeSafetensors(bytes).tensors.get(name), name)];
  };
  return Promise.all(items.map(async (_, row) => new Map([await read(row, "frames"), await read(row, "latents")])));
}

export type FarmDecodes = { readonly count: number; readonly seconds: number };

/** How often the run's scores had to decode a clip: one that was decoded before was found. */
export async function decodesOf(farm: TestFarm, { runId }: FarmRun): Promise<FarmDecodes> {
  const [row] = await farm.sql<{ count: number; ms: number }>(
    `select count(*) filter (where s.decode_ms > 0)::integer as count, coalesce(sum(s.decode_ms), 0) as ms from task_score s
      where s.task_id in (select u.task_id from task_user u join render r on r.id = u.render_id where r.job_id = $1)`,
    [runId],
  );
  return { count: row?.count ?? Number.NaN, seconds: (row?.ms ?? Number.NaN) / 1000 };
}
