/**
 * StartRun: a render for each row and seed of a suite, as one job of class benchmark.
 *
 * The run goes the way of a manifest: its renders are checked, lie in a file, are stored in one transaction with the run's own rows, and wait for
 * the window of their pool. So a crash leaves a whole run or none. A run that is asked for again is found by its key: the caller's, or one
 * made from what the request comes to with the model and the metric networks as they are.
 */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { FarmError } from "../../domain/errors.ts";
import { refusalOf, refuseAny, type RuleViolation } from "../../domain/field-rules.ts";
import { completeRender } from "../../domain/render-request.ts";
import { formViolationsOf } from "../../domain/render-rules.ts";
import { seedOf } from "../../domain/suite-id.ts";
import type { SuiteRow } from "../../domain/suite-rules.ts";
import { metricNames } from "../../domain/vbench/metric.ts";
import type { StartRunRequest, StartRunResponse } from "../../gen/proto/vapfarm/v1/bench.ts";
import type { BenchStore, ManifestRender, RunToStore, SuiteView } from "../store/store-contract.ts";
import { refuseSpent } from "./budgets.ts";
import { checkRenders, type RenderVerdict } from "./check-renders.ts";
import type { Call } from "./method.ts";
import { jobToStore, manifestRenderOf } from "./plan-job.ts";
import { openRowFile, type RowFile } from "./row-file.ts";
import { runToProto } from "./run-mapping.ts";
import {
  jobRequestOf,
  renderOf,
  requestDigest,
  rowsOf,
  runDigest,
  type RunParts,
  runViolations,
  seedsOf,
  settingsDigest,
  violationOfRow,
} from "./run-request.ts";
import { runUnknown } from "./runs.ts";
import { withModelsOfNow } from "./served-model.ts";
import { conflict, findSubmittedJob, jobViolationsOf, missingUpload, settle } from "./submission.ts";
import type { ManifestDependencies } from "./submit-manifest.ts";
import { suiteOf } from "./suites.ts";

/** Checked at a time. */
const rowsPerCheck = 250;
const mostFaults = 100;

/** What starting runs works with; it takes the places of manifests. */
export type StartRunDependencies = ManifestDependencies & { readonly store: Pick<BenchStore, "findSuites" | "suiteRows" | "findRuns"> };

/** A request on its way. */
type Start = { readonly request: StartRunRequest; readonly suite: SuiteView; readonly call: Call };

/** The handler of StartRun. */
export function createStartRun(dependencies: StartRunDependencies) {
  return (request: StartRunRequest, call: Call): Promise<StartRunResponse> =>
    dependencies.manifests.useNow("FARM_BUSY", async () => {
      const { tenant } = call.caller;
      const job = jobRequestOf(request, request.idempotencyKey);
      refuseAny(formViolationsOf(job));
      const suite = await suiteOf(dependencies.store, tenant, request.suite);
      const first = await findSubmittedJob(dependencies, job, tenant);
      if (first !== undefined) {
        if (first.bodyDigest !== requestDigest(request, suite)) throw conflict();
        return await answer(dependencies, tenant, { runId: first.jobId, existed: true });
      }
      refuseAny([...runViolations(request, suite), ...jobViolationsOf(dependencies, job)]);
      return await checkAndStore(await withModelsOfNow(dependencies), { request, suite, call });
    });
}

async function answer(
  { store }: Pick<StartRunDependencies, "store">,
  tenant: string,
  { runId, existed }: { readonly runId: string; readonly existed: boolean },
): Promise<StartRunResponse> {
  const [run] = await store.findRuns(tenant, runId, 1);
  if (run === undefined) throw runUnknown(runId);
  return { run: runToProto(run), existed };
}

async function checkAndStore(dependencies: StartRunDependencies, start: Start): Promise<StartRunResponse> {
  const { request, suite, call } = start;
  const { tenant } = call.caller;
  const parts = await partsOf(dependencies, start);
  const key = request.idempotencyKey === "" ? `run-${runDigest(request, parts)}` : request.idempotencyKey;
  const bodyDigest = request.idempotencyKey === "" ? runDigest(request, parts) : requestDigest(request, suite);
  const first = await dependencies.store.findSubmitted(tenant, key);
  if (first?.bodyDigest === bodyDigest) return await answer(dependencies, tenant, { runId: first.jobId, existed: true });
  await refuseSpent(dependencies.store, tenant);
  const file = await openRowFile<ManifestRender>(join(dependencies.temporaryFolder, `run-${randomUUID()}`));
  try {
    await checkRows(dependencies, start, file);
    await file.seal();
    call.signal.throwIfAborted();
    const job = jobToStore(dependencies, jobRequestOf(request, key), { tenant, bodyDigest });
    const run = runToStore(request, parts);
    const renderTotal = run.rows.length * run.seeds;
    const { store, submitSpans } = dependencies;
    const submit = { jobId: job.jobId, renders: renderTotal, caller: call.trace, sinceMs: submitSpans.now() };
    const manifest = { ...job, renderTotal, parts: () => file.parts(), run };
    const stored = settle(dependencies, await submitSpans.around(submit, (kept) => store.submitManifest({ ...manifest, ...kept })));
    if (stored.kind === "invalid") throw refusalOf(stored.missing.map((missing) => missingUpload(missing, `renders[${missing.position}]`)));
    return await answer(dependencies, tenant, { runId: stored.job.jobId, existed: stored.kind === "repeated" });
  } finally {
    await file.remove();
  }
}

/** The model, the metric networks and the settings, from the first row's render; whatever is wrong with it is refused. */
async function partsOf(dependencies: StartRunDependencies, start: Start): Promise<RunParts> {
  const { request, suite } = start;
  const [verdict] = await checkSome(dependencies, start, rowsOf(request, suite).slice(0, 1));
  if (verdict === undefined) throw new FarmError("INTERNAL", { message: `suite ${suite.suiteId} has no rows` });
  if (verdict.kind === "wrong") throw refusalOf(verdict.violations);
  const { model, render } = verdict;
  const repositories = await dependencies.metrics();
  const metrics = render.scores === undefined ? undefined : repositories.get(render.scores.metricsModel);
  return { suite, model, metrics, spec: completeRender(render, model.facts, 0n) };
}

type RowVerdict =
  | (Extract<RenderVerdict, { kind: "right" }> & { readonly row: SuiteRow })
  | { readonly kind: "wrong"; readonly violations: readonly RuleViolation[] };

async function checkSome(dependencies: StartRunDependencies, { request, suite, call }: Start, positions: readonly number[]) {
  const rows = await dependencies.store.suiteRows(call.caller.tenant, suite.suiteId, positions);
  const asked = { renders: rows.map((row) => renderOf(row, request)), fieldOf: () => "", now: dependencies.now(), resolves: false };
  const { verdicts } = await checkRenders(dependencies, asked, call);
  return rows.flatMap((row, index): readonly RowVerdict[] => {
    const verdict = verdicts[index];
    if (verdict === undefined) return [];
    if (verdict.kind === "right") return [{ ...verdict, row }];
    return [{ kind: "wrong", violations: verdict.violations.map((found) => violationOfRow(found, row.position)) }];
  });
}

/** Checks every row, and puts its renders into the file; what is wrong with any is refused, all of it together. */
async function checkRows(dependencies: StartRunDependencies, start: Start, file: RowFile<ManifestRender>): Promise<void> {
  const { request, suite, call } = start;
  const positions = rowsOf(request, suite);
  const faults = new Map<string, RuleViolation>();
  for (let first = 0; first < positions.length && faults.size < mostFaults; first += rowsPerCheck) {
    for (const verdict of await checkSome(dependencies, start, positions.slice(first, first + rowsPerCheck))) {
      if (verdict.kind === "wrong") for (const found of verdict.violations) faults.set(`${found.field} ${found.reason}`, found);
      else if (faults.size === 0) await file.add(rendersOf(verdict, seedsOf(request)));
    }
    call.signal.throwIfAborted();
  }
  refuseAny([...faults.values()].slice(0, mostFaults));
}

function rendersOf({ render, model, row }: Extract<RowVerdict, { kind: "right" }>, seeds: number): readonly ManifestRender[] {
  return Array.from({ length: seeds }, (_, index) =>
    manifestRenderOf({ model, render: { ...render, seed: seedOf(row.seed, index) } }, row.seed),
  );
}

function runToStore(request: StartRunRequest, parts: RunParts): RunToStore {
  const { suite, model, metrics, spec } = parts;
  const asked = spec.scores?.metrics ?? [];
  return {
    suiteId: suite.suiteId,
    label: request.label === "" ? `${suite.name} on ${spec.model}` : request.label,
    model: spec.model,
    modelDigest: model.digest,
    hasTrainedWeights: model.manifest.weights === "trained",
    metricsModel: metrics?.reference ?? "",
    hasTrainedMetrics: metrics?.weights === "trained",
    metrics: metricNames.filter((metric) => asked.includes(metric)),
    seeds: seedsOf(request),
    panels: request.panels,
    steps: spec.steps,
    guidanceScale: spec.guidanceScale,
    settingsDigest: settingsDigest(seedsOf(request), parts),
    rows: rowsOf(request, suite),
  };
}
