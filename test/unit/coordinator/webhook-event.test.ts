import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { webhookEventOf } from "../../../services/coordinator/duties/webhook-event.ts";
import type { JobView } from "../../../services/coordinator/store/store-contract.ts";
import { createMessageJson } from "../../../services/platform/protojson/message-json.ts";

const job: JobView = {
  jobId: "job-1",
  tenant: "north",
  state: "cancelled",
  jobClass: "production",
  priority: 0,
  deadline: undefined,
  deadlineStanding: undefined,
  reuse: "all",
  createdAt: new Date("2026-01-02T03:04:05Z"),
  endedAt: new Date("2026-01-02T03:05:00Z"),
  failure: undefined,
  lastEventNumber: 4,
  renderCounts: { total: 2, queued: 0, running: 0, succeeded: 0, failed: 0, cancelled: 2 },
  webhook: undefined,
  only: undefined,
};
const due = {
  jobId: job.jobId,
  tenant: job.tenant,
  url: "https://hooks.example/",
  secret: "whsec_",
  eventNumber: 4,
  eventKind: "job.cancelled",
  at: new Date("2026-01-02T03:05:00Z"),
  tries: 0,
} as const;
const toJson = createMessageJson(readFileSync(new URL("../../../services/gen/farm.binpb", import.meta.url)));

it("the body of a webhook spells out what is zero or empty, as HTTP does", async () => {
  const body = await webhookEventOf({ store: { getJob: () => Promise.resolve(job) }, toJson }, due);
  expect(JSON.parse(body ?? "")).toMatchObject({
    type: "job.cancelled",
    time: "2026-01-02T03:05:00Z",
    eventNumber: "4",
    job: { jobId: "job-1", priority: 0, state: "JOB_STATE_CANCELLED", artifacts: [], renderCounts: { total: 2, succeeded: 0, failed: 0 } },
  });
});

it("a job that is gone has no body", async () => {
  expect(await webhookEventOf({ store: { getJob: () => Promise.resolve(undefined) }, toJson }, due)).toBeUndefined();
});
