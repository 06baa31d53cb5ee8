/**
 * Benchmarks as a test calls them: suites of made-up clips, runs of them, and workers that play their scores.
 */
import {
  type ImportSuiteRequest,
  type ImportSuiteResponse,
  ListRunItemsRequest,
  type RunItem,
  StartRunRequest,
  type StartRunResponse,
  SuiteHeader,
  SuiteRow,
} from "../../services/gen/proto/vapfarm/v1/bench.ts";
import { type FarmServiceClient, UploadMediaHeader, type UploadMediaRequest } from "../../services/gen/proto/vapfarm/v1/farm.ts";
import { MetricScore } from "../../services/gen/proto/vapfarm/v1/stage.ts";
import type { AttemptReport, TaskClaim } from "../../services/gen/proto/vapfarm/v1/dispatch.ts";
import type { ArtifactStore } from "../../services/platform/artifacts/artifact-store.ts";
import { callClientStream } from "../../services/platform/grpc/client.ts";
import { call, present } from "./farm-calls.ts";
import { claimOf, failureOf, type PlayedWorker, storeOutputs, successOf } from "./played-worker.ts";

/** The hashes of clips of these many frames, uploaded. */
export async function uploadClips(
  client: FarmServiceClient,
  frames: readonly number[],
  headers: Readonly<Record<string, string>> = {},
): Promise<readonly string[]> {
  const hashes: string[] = [];
  for (const count of frames) {
    const messages: UploadMediaRequest[] = [
      { part: { $case: "header", value: UploadMediaHeader.create({ fileName: "clip" }) } },
      { part: { $case: "chunk", value: Buffer.from(`CLIP ${count}`) } },
    ];
    hashes.push((await callClientStream(client.uploadMedia.bind(client), messages, { deadlineMs: 30_000, headers })).sha256);
  }
  return hashes;
}

/** Row `position` of a suite: the clip that the reference becomes, and what both show. */
export function suiteRow(position: number, [target = "", reference = ""]: readonly string[], change: Partial<SuiteRow> = {}): SuiteRow {
  return SuiteRow.create({
    position,
    line: position + 2,
    targetSha256: target,
    referenceSha256s: [reference],
    caption: `cat ${position}`,
    referenceCaptions: [`dog ${position}`],
    kind: "ghibli",
    seed: BigInt(1_000 + position),
    targetPath: `videos/${position}.mp4`,
    referencePaths: [`videos/ref ${position}.mp4`],
    ...change,
  });
}

/** An import's messages, two rows in each. */
export function suiteMessages(rows: readonly SuiteRow[], header: Partial<SuiteHeader> = {}): ImportSuiteRequest[] {
  const parts = Array.from({ length: Math.ceil(rows.length / 2) }, (_, index) => rows.slice(2 * index, 2 * index + 2));
  return [
    { part: { $case: "header", value: SuiteHeader.create({ name: "suite", ...header }) } },
    ...parts.map((some): ImportSuiteRequest => ({ part: { $case: "rows", value: { rows: some } } })),
  ];
}

export function importSuite(
  client: FarmServiceClient,
  messages: Iterable<ImportSuiteRequest> | AsyncIterable<ImportSuiteRequest>,
  headers: Readonly<Record<string, string>> = {},
): Promise<ImportSuiteResponse> {
  return callClientStream(client.importSuite.bind(client), messages, { deadlineMs: 60_000, headers });
}

export function startRun(
  client: FarmServiceClient,
  change: Partial<StartRunRequest>,
  headers: Readonly<Record<string, string>> = {},
): Promise<StartRunResponse> {
  return call(client.startRun.bind(client), StartRunRequest.create({ model: "demo", steps: 2, ...change }), headers);
}

/** Every render of a run, page by page. */
export async function runItems(
  client: FarmServiceClient,
  runId: string,
  change: Partial<ListRunItemsRequest> = {},
): Promise<readonly RunItem[]> {
  const items: RunItem[] = [];
  for (let pageToken = ""; ;) {
    const request = ListRunItemsRequest.create({ runId, ...change, pageToken });
    const page = await call(client.listRunItems.bind(client), request);
    items.push(...page.items);
    if (page.nextPageToken === "") return items;
    ({ nextPageToken: pageToken } = page);
  }
}

/** What a played worker says of a score task: the score, or the code that it fails with. */
export type PlayScore = (metric: string, claim: TaskClaim) => Partial<MetricScore> | { readonly fails: string };

/** A score that is well formed. */
export function scoreOf(metric: string, change: Partial<MetricScore> = {}): MetricScore {
  return MetricScore.create({
    metric,
    metricVersion: 1,
    runtime: "played",
    decodeProfile: "rgb",
    status: "ok",
    value: 0.5,
    frames: 17,
    fpsNumerator: 16,
    fpsDenominator: 1,
    width: 64,
    height: 48,
    decodeMs: 2,
    ...change,
  });
}

/** Computes whatever there is until `isOver`; waits for a wake where there is nothing. */
export async function playUntil(
  { worker, artifacts }: { readonly worker: PlayedWorker; readonly artifacts: ArtifactStore },
  play: PlayScore,
  isOver: () => Promise<boolean>,
): Promise<void> {
  let claim = claimOf(await worker.next());
  while (!(await isOver()) || claim !== undefined) {
    if (claim === undefined) {
      await worker.signal("wake");
      claim = claimOf(await worker.next());
      continue;
    }
    claim = claimOf(await worker.next({ reports: [await reportOf(artifacts, claim, play)] }));
  }
}

async function reportOf(artifacts: ArtifactStore, claim: TaskClaim, play: PlayScore): Promise<AttemptReport> {
  const [kind, metric] = claim.stage.split("/");
  if (kind !== "score") return successOf(claim, await storeOutputs(artifacts, claim));
  const played = play(present(metric), claim);
  if ("fails" in played) return failureOf(claim, played.fails);
  return successOf(claim, await storeOutputs(artifacts, claim), scoreOf(present(metric), played));
}
