/**
 * Requests that a farm must refuse, each with the codes that may say so: a table over every method of FarmService.
 *
 * `JOB`, `DONE` stand for an open and an ended job of the test, `IMAGE` and `CLIP` for its uploads.
 */
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";

export type BadCase = {
  readonly method: string;
  readonly title: string;
  /** One message after another; most methods take one. */
  readonly messages: readonly JsonObject[];
  /** Any of these is a right answer. */
  readonly codes: readonly string[];
  /** Among the fields that are named. */
  readonly field?: string;
};

const unknownId = "00000000-0000-4000-8000-000000000000";
const long = "A".repeat(100_000);

/** Texts that name nothing, and that something careless would follow, store or print. */
const hostileTexts: Readonly<Record<string, string>> = {
  "an empty text": "",
  "another form": "x",
  "a path upwards": "../../../etc/passwd",
  "an encoded path upwards": "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
  "a NUL": "a\u0000b",
  SQL: "'; drop table job; --",
  markup: "<script>alert(1)</script>",
  "text that runs backwards": "\u202Efdp.exe",
  "300 emoji": "😀".repeat(300),
  "100,000 characters": long,
  "an address": "http://169.254.169.254/latest/meta-data/",
  "a line break": "a\r\nset-cookie: b",
  "an id in capitals": unknownId.replaceAll("0", "A").toUpperCase(),
  "an unknown id": unknownId,
};

const edgeIntegers = [-1, -2_147_483_648, 2_147_483_647];

/** The codes that may come, and the field that must be named. */
type Refusal = { readonly codes: readonly string[]; readonly field?: string };

const at = (field: string): Refusal => ({ codes: ["FIELD_INVALID"], field });

function cases(method: string, refusal: readonly string[] | Refusal, messages: Readonly<Record<string, JsonObject>>): BadCase[] {
  const expected: Refusal = "codes" in refusal ? refusal : { codes: refusal };
  return Object.entries(messages).map(([title, message]) => ({ method, title, messages: [message], ...expected }));
}

function mapValues<T>(of: Readonly<Record<string, string>>, map: (value: string) => T): Record<string, T> {
  return Object.fromEntries(Object.entries(of).map(([key, value]) => [key, map(value)]));
}

const jobIdMethods: Readonly<Record<string, JsonObject>> = {
  GetJob: {},
  GetRender: {},
  ListRenders: {},
  ListEvents: {},
  WatchJob: {},
  CancelJob: {},
  CancelRender: {},
  RetryJob: {},
  RetryRender: {},
  UpdateJob: { priority: 1, updateMask: "priority" },
  ExplainJob: {},
  DownloadArtifact: { name: "mp4" },
  GetArtifactUrl: { name: "mp4" },
};

const unknownJobs = Object.entries(jobIdMethods).flatMap(([method, rest]) =>
  cases(
    method,
    ["JOB_UNKNOWN", "FIELD_INVALID"],
    mapValues(hostileTexts, (jobId) => ({ ...rest, jobId })),
  ),
);

const otherIds = [
  ...["GetWorker", "CordonWorker", "UncordonWorker", "DrainWorker"].flatMap((method) =>
    cases(
      method,
      ["WORKER_UNKNOWN", "FIELD_INVALID"],
      mapValues(hostileTexts, (workerId) => ({ workerId })),
    ),
  ),
  ...cases(
    "GetUpload",
    ["UPLOAD_UNKNOWN", "FIELD_INVALID"],
    mapValues(hostileTexts, (uploadId) => ({ uploadId })),
  ),
  ...cases(
    "GetModel",
    ["MODEL_NOT_FOUND", "FIELD_INVALID"],
    mapValues(hostileTexts, (name) => ({ name })),
  ),
];

const positions = [
  ...["GetRender", "CancelRender", "RetryRender"].flatMap((method) =>
    [...edgeIntegers, 1].flatMap((position) =>
      cases(method, ["RENDER_UNKNOWN", "FIELD_INVALID"], { [`position ${position}`]: { jobId: "DONE", position } }),
    ),
  ),
  ...["DownloadArtifact", "GetArtifactUrl"].flatMap((method) =>
    [...edgeIntegers, 1].flatMap((renderPosition) =>
      cases(method, ["RENDER_UNKNOWN", "ARTIFACT_UNKNOWN", "FIELD_INVALID"], {
        [`position ${renderPosition}`]: { jobId: "DONE", name: "mp4", renderPosition },
      }),
    ),
  ),
  ...[...edgeIntegers, 1].flatMap((renderPosition) =>
    cases("ExplainJob", ["RENDER_UNKNOWN", "FIELD_INVALID"], { [`position ${renderPosition}`]: { jobId: "DONE", renderPosition } }),
  ),
];

const artifacts = ["DownloadArtifact", "GetArtifactUrl"].flatMap((method) =>
  cases(
    method,
    ["ARTIFACT_UNKNOWN", "FIELD_INVALID"],
    mapValues(hostileTexts, (name) => ({ jobId: "DONE", name })),
  ),
);

const invalid = ["FIELD_INVALID"];

const pages = [
  ...["ListJobs", "ListRenders", "ListEvents"].flatMap((method) =>
    [...edgeIntegers, 1001].map((pageSize): BadCase => {
      const message = method === "ListJobs" ? { pageSize } : { jobId: "DONE", pageSize };
      return { method, title: `page size ${pageSize}`, messages: [message], codes: invalid, field: "page_size" };
    }),
  ),
  ...["ListJobs", "ListRenders"].flatMap((method) =>
    Object.entries({ ...hostileTexts, "base64 of nonsense": "eyJhIjoxfQ" })
      .filter(([, pageToken]) => pageToken !== "")
      .map(([title, pageToken]): BadCase => {
        const message = method === "ListJobs" ? { pageToken } : { jobId: "DONE", pageToken };
        return { method, title: `page token: ${title}`, messages: [message], codes: invalid, field: "page_token" };
      }),
  ),
];

const lists = [
  ...cases("ListJobs", at("order_by"), { "an order by nothing known": { orderBy: "tenant" }, "an order with SQL": { orderBy: "create_time; drop table job" }, "an order that goes sideways": { orderBy: "create_time sideways" } }), // prettier-ignore
  ...cases("ListJobs", invalid, { "an unknown state": { states: [99] }, "the unspecified state": { states: [0] } }),
  ...cases("ListJobs", at("job_class"), { "an unknown class": { jobClass: 99 } }),
  ...cases("ListJobs", at("read_mask"), { "a mask of unknown fields": { readMask: "state,secret" } }),
  ...cases("GetJob", at("read_mask"), { "a mask of unknown fields": { jobId: "DONE", readMask: "nonsense" } }),
  ...cases("GetJob", at("read_mask"), { "a mask that goes deeper": { jobId: "DONE", readMask: "webhook.secret" } }),
  ...cases("ListRenders", invalid, { "an unknown state": { jobId: "DONE", states: [99] } }),
  ...cases("ListWorkers", invalid, { "an unknown state": { states: [99] } }),
  ...["-1", "9223372036854775807"].flatMap((afterEventNumber) =>
    cases("WatchJob", at("after_event_number"), { [`event ${afterEventNumber}`]: { jobId: "DONE", afterEventNumber } }),
  ),
  ...cases("ListEvents", at("after_event_number"), { "event -1": { jobId: "DONE", afterEventNumber: "-1" } }),
  ...cases("GetUsage", invalid, { "an unknown key": { groupBy: [99] }, "the unspecified key": { groupBy: [0] }, "a key twice": { groupBy: [1, 1] } }), // prettier-ignore
  ...cases("GetUsage", invalid, { "a time that runs backwards": { from: "2026-02-01T00:00:00Z", until: "2026-01-01T00:00:00Z" } }),
  ...cases(
    "GetUsage",
    ["JOB_UNKNOWN", "FIELD_INVALID"],
    mapValues(nonEmpty(hostileTexts), (jobId) => ({ jobId })),
  ),
];

function nonEmpty(texts: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== ""));
}

const changes = [
  ...cases("UpdateJob", at("update_mask"), { "no mask": { jobId: "JOB", priority: 1 }, "an unknown path": { jobId: "JOB", updateMask: "tenant" }, "the state": { jobId: "JOB", updateMask: "state" } }), // prettier-ignore
  ...[101, -101, ...edgeIntegers.slice(1)].flatMap((priority) =>
    cases("UpdateJob", at("priority"), { [`priority ${priority}`]: { jobId: "JOB", priority, updateMask: "priority" } }),
  ),
  ...["1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z"].flatMap((deadline) =>
    cases("UpdateJob", at("deadline"), { [`deadline ${deadline}`]: { jobId: "JOB", deadline, updateMask: "deadline" } }),
  ),
  ...cases("UpdateJob", ["JOB_ENDED"], { "a job that has ended": { jobId: "DONE", priority: 1, updateMask: "priority" } }),
  ...cases("RetryJob", ["JOB_NOT_RETRYABLE"], { "a job that succeeded": { jobId: "DONE" } }),
  ...cases("RetryRender", ["JOB_NOT_RETRYABLE"], { "a render that succeeded": { jobId: "DONE", position: 0 } }),
  ...["-1", "9223372036854775807"].flatMap((offsetBytes) =>
    cases("DownloadArtifact", at("offset_bytes"), { [`offset ${offsetBytes}`]: { jobId: "DONE", name: "mp4", offsetBytes } }),
  ),
  ...cases("DownloadArtifact", at("length_bytes"), { "a negative length": { jobId: "DONE", name: "mp4", lengthBytes: "-1" } }),
  ...[-1, 3601, 2_147_483_647].flatMap((lifetimeSeconds) =>
    cases("GetArtifactUrl", at("lifetime_seconds"), { [`${lifetimeSeconds} s`]: { jobId: "DONE", name: "mp4", lifetimeSeconds } }),
  ),
];

const holds = ["PlaceHold", "ReleaseHold"].flatMap((method) => [
  ...cases(method, at("scope"), { "no scope": {}, "an unknown scope": { scope: 99 } }),
  ...cases(
    method,
    at("name"),
    // A hold of a pool that is configured no more can be released.
    mapValues(method === "PlaceHold" ? nonEmpty(hostileTexts) : {}, (name) => ({ scope: "HOLD_SCOPE_POOL", name })),
  ),
  ...cases(method, at("name"), { "a farm with a name": { scope: "HOLD_SCOPE_FARM", name: "x" }, "a pool without one": { scope: "HOLD_SCOPE_POOL" } }), // prettier-ignore
  ...cases(method, at("name"), { "a tenant of 100,000 characters": { scope: "HOLD_SCOPE_TENANT", name: long }, "a tenant with a NUL": { scope: "HOLD_SCOPE_TENANT", name: "a\u0000" } }), // prettier-ignore
]);

const reasons: JsonObject[] = [{ reason: "A".repeat(501) }, { reason: "a\u0000b" }];
const reasonCases = reasons.flatMap((reason, index) => [
  ...cases("PlaceHold", at("reason"), { [`reason ${index}`]: { scope: "HOLD_SCOPE_FARM", ...reason } }),
  ...cases("CordonWorker", at("reason"), { [`reason ${index}`]: { workerId: "WORKER", ...reason } }),
  ...cases("DrainWorker", at("reason"), { [`reason ${index}`]: { workerId: "WORKER", ...reason } }),
]);
const graces = ["-1", "86400001", "9223372036854775807"].flatMap((graceMs) =>
  cases("DrainWorker", at("grace_ms"), { [`grace ${graceMs}`]: { workerId: "WORKER", graceMs } }),
);

const euros = (units: string, nanos = 0): JsonObject => ({ currencyCode: "EUR", units, nanos });
const ofTenant: JsonObject = { scope: "BUDGET_SCOPE_TENANT", name: "local" };
const money = [
  ...cases(
    "SetPrice",
    at("pool"),
    mapValues(hostileTexts, (pool) => ({ pool, perHour: euros("1") })),
  ),
  ...cases(
    "SetPrice",
    at("per_hour.currency_code"),
    mapValues(hostileTexts, (currencyCode) => ({ pool: "test", perHour: { currencyCode, units: "1" } })),
  ),
  ...cases("SetPrice", at("per_hour"), { "no amount": { pool: "test" } }),
  ...cases("SetPrice", at("per_hour.units"), { "a negative price": { pool: "test", perHour: euros("-1") }, "a price beyond all": { pool: "test", perHour: euros("9223372036854775807") } }), // prettier-ignore
  ...cases("SetPrice", at("per_hour.nanos"), { "a whole unit of nanos": { pool: "test", perHour: euros("0", 1_000_000_000) }, "two signs": { pool: "test", perHour: euros("1", -1) } }), // prettier-ignore
  ...["1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z"].flatMap((startTime) =>
    cases("SetPrice", at("start_time"), { [`a price from ${startTime} on`]: { pool: "test", perHour: euros("1"), startTime } }),
  ),
  ...["SetBudget", "DeleteBudget"].flatMap((method) => [
    ...cases(method, at("scope"), { "no scope": { name: "local" }, "an unknown scope": { scope: 99, name: "local" } }),
    ...cases(method, at("period"), { "an unknown period": { ...ofTenant, period: 99 } }),
    ...cases(
      method,
      at("name"),
      mapValues({ ...hostileTexts, "an unknown id": "no job" }, (name) => ({ scope: "BUDGET_SCOPE_JOB", name })),
    ),
  ]),
  ...cases("SetBudget", ["JOB_UNKNOWN"], { "of a job that there is not": { scope: "BUDGET_SCOPE_JOB", name: unknownId, gpuSeconds: 1 } }),
  ...cases("SetBudget", at("limit"), { "no limit": ofTenant }),
  ...cases("SetBudget", at("gpu_seconds"), {
    "negative time": { ...ofTenant, gpuSeconds: -1 },
    "endless time": { ...ofTenant, gpuSeconds: 1e300 },
  }),
  ...cases("SetBudget", at("money.units"), { "negative money": { ...ofTenant, money: euros("-1") } }),
  ...cases("SetBudget", at("action"), { "an unknown action": { ...ofTenant, gpuSeconds: 1, action: 99 } }),
  ...cases("SetBudget", at("reason"), { "a reason of 501 characters": { ...ofTenant, gpuSeconds: 1, reason: "A".repeat(501) } }),
  ...cases("DeleteBudget", at("unit"), { "no unit": ofTenant, "an unknown unit": { ...ofTenant, unit: 99 } }),
  ...cases("ListBudgets", at("tenant"), {
    "a tenant with a NUL": { tenant: "a\u0000" },
    "a tenant of 100,000 characters": { tenant: long },
  }),
];

const benchmarks = [
  ...["GetSuite", "StartRun"].flatMap((method) =>
    cases(
      method,
      ["SUITE_UNKNOWN", "FIELD_INVALID"],
      mapValues(hostileTexts, (suite) => ({ suite })),
    ),
  ),
  ...cases(
    "ListRuns",
    ["SUITE_UNKNOWN"],
    mapValues(nonEmpty(hostileTexts), (suite) => ({ suite })),
  ),
  ...["GetRun", "ListRunItems"].flatMap((method) =>
    cases(
      method,
      ["RUN_UNKNOWN"],
      mapValues(hostileTexts, (runId) => ({ runId })),
    ),
  ),
  ...cases(
    "GetResults",
    ["RESULTS_UNKNOWN"],
    mapValues(hostileTexts, (name) => ({ name })),
  ),
  ...cases(
    "GetPreference",
    ["VOTES_UNKNOWN"],
    mapValues(hostileTexts, (name) => ({ name })),
  ),
  ...["ListSuites", "ListRuns"].flatMap((method) => [
    ...[...edgeIntegers, 1001].flatMap((pageSize) => cases(method, at("page_size"), { [`page size ${pageSize}`]: { pageSize } })),
    ...cases(
      method,
      at("page_token"),
      mapValues(nonEmpty(hostileTexts), (pageToken) => ({ pageToken })),
    ),
  ]),
  ...cases("ListRunItems", at("page_size"), { "page size -1": { runId: unknownId, pageSize: -1 } }),
  ...cases("GetSuite", at("first_row"), { "row -1": { suite: "x", firstRow: -1 } }),
  ...cases("GetSuite", at("row_limit"), { "1,001 rows": { suite: "x", rowLimit: 1_001 } }),
  ...cases("StartRun", at("idempotency_key"), { "a key with a line break": { suite: "x", idempotencyKey: "a\nb" } }),
  ...["ImportResults", "ImportVotes"].flatMap((method) =>
    cases(
      method,
      at("name"),
      mapValues(
        { "an empty name": "", "a NUL": "a\u0000b", "a line break": "a\nb", "text that runs backwards": "\u202Efdp", long },
        (name) => ({
          name,
        }),
      ),
    ),
  ),
  ...cases("ImportResults", at("text"), { "no file": { name: "a" }, "no JSON": { name: "a", text: "<html>" }, "a NUL": { name: "a", text: "\u0000" }, "a list": { name: "a", text: "[1]" } }), // prettier-ignore
  ...cases("ImportVotes", at("votes"), { "no votes": { name: "a" } }),
  ...cases("ImportVotes", at("votes[0].choice"), { "a method that was not shown": { name: "a", votes: [{ voter: "v", trial: "t", question: "quality", methods: ["a", "b"], choice: "c" }] } }), // prettier-ignore
  ...cases("ImportVotes", at("votes[0].question"), { "another question": { name: "a", votes: [{ voter: "v", trial: "t", question: "?", methods: ["a", "b"], choice: "a" }] } }), // prettier-ignore
];

/** The table, submits and uploads apart. */
export const plainCases: readonly BadCase[] = [
  ...unknownJobs,
  ...otherIds,
  ...positions,
  ...artifacts,
  ...pages,
  ...lists,
  ...changes,
  ...holds,
  ...reasonCases,
  ...graces,
  ...money,
  ...benchmarks,
];

/** Replaces the placeholders of a case's texts. */
export function fill(value: JsonValue, names: Readonly<Record<string, string>>): JsonValue {
  if (typeof value === "string") return Object.hasOwn(names, value) ? (names[value] ?? value) : value;
  if (Array.isArray(value)) return value.map((each) => fill(each, names));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, fill(each, names)]));
}
