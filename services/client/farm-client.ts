/**
 * A farm as a client sees it: every call of its service, and on top of them what most clients want.
 *
 * What can be repeated is: uploads, downloads and watches go on after a connection breaks or a coordinator restarts. Calls that change
 * something are made once. A farm that does not answer is COORDINATOR_UNAVAILABLE naming the address and where it came from.
 */
import { FarmError, toFarmError } from "../domain/errors.ts";
import {
  type Artifact,
  type DeepPartial,
  FarmServiceClient,
  type Job,
  type JobEvent,
  type ListFailuresRequest,
  type ListJobsRequest,
  type ListRendersRequest,
  type ListWorkersRequest,
  type Render,
  type SubmitRenderRequest,
  type SubmitRendersRequest,
  type UploadMediaResponse,
  type WatchJobResponse,
  type Worker,
} from "../gen/proto/vapfarm/v1/farm.ts";
import type {
  GetRunResponse,
  ImportSuiteResponse,
  ListRunItemsRequest,
  ListRunsRequest,
  Run,
  RunItem,
  StartRunRequest,
  StartRunResponse,
  Suite,
  SuiteRow,
} from "../gen/proto/vapfarm/v1/bench.ts";
import type { FailedTask } from "../gen/proto/vapfarm/v1/operator.ts";
import { connectClient } from "../platform/grpc/client.ts";
import { traceparentHeader } from "../platform/tracing/trace-context.ts";
import { untilTaken } from "./back-pressure.ts";
import { type CallControl, type FarmCalls, farmCalls } from "./calls.ts";
import { type ArtifactAddress, download, type DownloadOptions, readArtifact } from "./download.ts";
import { importSuite, type SuiteToImport } from "./import-suite.ts";
import {
  type ListControl,
  listEvents,
  listFailures,
  listJobs,
  listRenders,
  listRunItems,
  listRuns,
  listSuiteRows,
  listSuites,
} from "./pages.ts";
import { createPatience, patiently, type PatienceOptions } from "./patience.ts";
import { type ManifestSubmitted, type ManifestToSubmit, submitManifest } from "./submit-manifest.ts";
import { type ManySubmitted, submitMany } from "./submit-many.ts";
import { upload, type UploadOptions } from "./upload.ts";
import { watch, type WatchOptions } from "./watch.ts";

/** Where a farm is, and as whom it is asked. */
export type FarmEndpoint = {
  /** `host:port` or `unix:/path`. */
  readonly address: string;
  /** Sent as `authorization: Bearer …`. */
  readonly token?: string | undefined;
  /** Sent with every call that has none of its own: the W3C `traceparent` of what this client is a part of. */
  readonly traceparent?: string | undefined;
  /** Where the address came from, for messages; else "as asked for". */
  readonly origin?: string | undefined;
  /** What to do when nobody answers there, for messages. */
  readonly remedy?: string | undefined;
};

/** A farm's calls, and what is made of them. */
export type FarmClient = {
  readonly endpoint: FarmEndpoint;
  /** Every RPC as the proto states it, one page at a time. */
  readonly calls: FarmCalls;
  /** Waits, as the next two do, while the farm takes no more (FARM_FULL, FARM_BUSY); never longer than `patienceMs`. */
  submit(request: DeepPartial<SubmitRenderRequest>, control?: CallControl & PatienceOptions): Promise<Job>;
  /** FIELD_INVALID when nothing was stored. */
  submitMany(request: DeepPartial<SubmitRendersRequest>, control?: CallControl & PatienceOptions): Promise<ManySubmitted>;
  /** Any number of renders; FIELD_INVALID with the first faults when nothing was stored. */
  submitManifest(manifest: ManifestToSubmit, control?: CallControl & PatienceOptions): Promise<ManifestSubmitted>;
  getJob(jobId: string, control?: CallControl): Promise<Job>;
  /** The same, through an outage. */
  getJobPatiently(jobId: string, options?: PatienceOptions): Promise<Job>;
  getRender(jobId: string, position: number, control?: CallControl): Promise<Render>;
  cancel(jobId: string, control?: CallControl): Promise<Job>;
  /** All pages, as they are needed. */
  jobs(filter?: DeepPartial<ListJobsRequest>, control?: ListControl): AsyncGenerator<Job>;
  renders(filter: DeepPartial<ListRendersRequest> & { readonly jobId: string }, control?: ListControl): AsyncGenerator<Render>;
  /** Tasks that failed for good, with each try. */
  failures(filter?: DeepPartial<ListFailuresRequest>, control?: ListControl): AsyncGenerator<FailedTask>;
  /** Those of now; `watch` waits for more. */
  events(from: { readonly jobId: string; readonly afterEventNumber?: bigint }, control?: ListControl): AsyncGenerator<JobEvent>;
  /** Until the job has ended; each event once, whatever breaks. */
  watch(jobId: string, options?: WatchOptions): AsyncGenerator<WatchJobResponse>;
  /** A file's path, or bytes. What the farm has already is not sent, and what arrived is not sent again. */
  upload(what: string | Uint8Array, options?: UploadOptions): Promise<UploadMediaResponse>;
  /** Writes the file whole or not at all, its hash checked. */
  download(to: ArtifactAddress & { readonly path: string }, options?: DownloadOptions): Promise<Artifact>;
  /** The same bytes, as they come. */
  read(artifact: ArtifactAddress, options?: DownloadOptions): AsyncGenerator<Uint8Array>;
  listWorkers(filter?: DeepPartial<ListWorkersRequest>, control?: CallControl): Promise<readonly Worker[]>;
  /** Any number of rows; all are stored or none, and the answer says which are wrong. Waits as `submit` does. */
  importSuite(suite: SuiteToImport, control?: CallControl & PatienceOptions): Promise<ImportSuiteResponse>;
  suites(control?: ListControl): AsyncGenerator<Suite>;
  suiteRows(suite: string, control?: ListControl): AsyncGenerator<SuiteRow>;
  /** Waits as `submit` does. */
  startRun(request: DeepPartial<StartRunRequest>, control?: CallControl & PatienceOptions): Promise<StartRunResponse>;
  runs(filter?: DeepPartial<ListRunsRequest>, control?: ListControl): AsyncGenerator<Run>;
  /** Through an outage. */
  getRunPatiently(runId: string, options?: PatienceOptions & { readonly withoutScores?: boolean }): Promise<GetRunResponse>;
  runItems(filter: DeepPartial<ListRunItemsRequest> & { readonly runId: string }, control?: ListControl): AsyncGenerator<RunItem>;
  close(): void;
};

const maxMessageBytes = 4 * 1024 ** 2;

/** Connects with the first call. `around` may put something of the caller's between the client and each of its calls. */
export function connectFarm(endpoint: FarmEndpoint, around: (calls: FarmCalls) => FarmCalls = (calls) => calls): FarmClient {
  const wire = connectClient(FarmServiceClient, endpoint.address, maxMessageBytes);
  const headers = {
    ...(endpoint.token === undefined ? {} : { authorization: `Bearer ${endpoint.token}` }),
    ...(endpoint.traceparent === undefined ? {} : { [traceparentHeader]: endpoint.traceparent }),
  };
  const calls = around(farmCalls(wire, { headers, explain: (thrown) => nameEndpoint(thrown, endpoint) }));
  const jobOf = async (answer: Promise<{ job?: Job | undefined }>): Promise<Job> => present((await answer).job, "job");
  return {
    endpoint,
    calls,
    submit: (request, control = {}) => jobOf(untilTaken(control, () => calls.submitRender(request, control))),
    submitMany: (request, control = {}) => untilTaken(control, () => submitMany(calls, request, control)),
    submitManifest: (manifest, control = {}) => untilTaken(control, () => submitManifest(calls, manifest, control)),
    getJob: (jobId, control) => jobOf(calls.getJob({ jobId }, control)),
    getJobPatiently: (jobId, options = {}) =>
      jobOf(patiently(createPatience(options), () => calls.getJob({ jobId }, { signal: options.signal }))),
    getRender: async (jobId, position, control) => present((await calls.getRender({ jobId, position }, control)).render, "render"),
    cancel: (jobId, control) => jobOf(calls.cancelJob({ jobId }, control)),
    jobs: (filter = {}, control) => listJobs(calls, filter, control),
    renders: (filter, control) => listRenders(calls, filter, control),
    failures: (filter = {}, control) => listFailures(calls, filter, control),
    events: (from, control) => listEvents(calls, from, control),
    watch: (jobId, options) => watch(calls, jobId, options),
    upload: (what, options) => upload(calls, what, options),
    download: (to, options) => download(calls, to, options),
    read: (artifact, options) => readArtifact(calls, artifact, options),
    listWorkers: async (filter = {}, control) => (await calls.listWorkers(filter, control)).workers,
    importSuite: (suite, control = {}) => untilTaken(control, () => importSuite(calls, suite, control)),
    suites: (control) => listSuites(calls, control),
    suiteRows: (suite, control) => listSuiteRows(calls, suite, control),
    startRun: (request, control = {}) => untilTaken(control, () => calls.startRun(request, control)),
    runs: (filter = {}, control) => listRuns(calls, filter, control),
    getRunPatiently: (runId, { withoutScores = false, ...options } = {}) =>
      patiently(createPatience(options), () => calls.getRun({ runId, withoutScores }, { signal: options.signal })),
    runItems: (filter, control) => listRunItems(calls, filter, control),
    close: () => wire.close(),
  };
}

/** The part of an answer that a farm of this protocol always fills. */
export function present<T>(part: T | undefined, what: string): T {
  if (part === undefined) throw new FarmError("PROTOCOL_UNSUPPORTED", { message: `the farm's answer has no ${what}` });
  return part;
}

function nameEndpoint(thrown: unknown, endpoint: FarmEndpoint): FarmError {
  const error = toFarmError(thrown);
  if (error.code !== "COORDINATOR_UNAVAILABLE") return error;
  return new FarmError("COORDINATOR_UNAVAILABLE", {
    message: `no farm answers at ${endpoint.address} (${endpoint.origin ?? "as asked for"})`,
    details: { ...error.details, ...(endpoint.remedy === undefined ? {} : { remedy: endpoint.remedy }) },
    cause: error,
  });
}
