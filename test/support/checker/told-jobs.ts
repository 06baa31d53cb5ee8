/**
 * What clients were told of jobs, taken out of every kind of answer.
 */
import { JobState } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import type { ClientCall, Kept } from "./journal-entries.ts";
import { numberOf, partOf, textOf } from "./words.ts";

/** A job as one answer showed it. */
export type ToldJob = {
  readonly jobId: string;
  readonly state: string;
  readonly lastEvent: number;
  readonly askedAtMs: number;
  readonly answeredAtMs: number;
  readonly call: ClientCall;
  readonly job: Kept;
};

const stateNames: ReadonlyMap<unknown, string> = new Map([
  [JobState.JOB_STATE_QUEUED, "queued"],
  [JobState.JOB_STATE_RUNNING, "running"],
  [JobState.JOB_STATE_SUCCEEDED, "succeeded"],
  [JobState.JOB_STATE_FAILED, "failed"],
  [JobState.JOB_STATE_CANCELLED, "cancelled"],
]);

/** The name that the database has for a state of the wire; undefined for none. */
export function stateOf(state: unknown): string | undefined {
  return stateNames.get(state);
}

/** Every job that was in an answer, in the order of the answers of each client. */
export function toldJobsOf(calls: readonly ClientCall[]): readonly ToldJob[] {
  return calls.flatMap((call) => {
    const job = partOf(call.answer, "job");
    // Lists may leave fields out.
    if (job === undefined || call.answeredAtMs === undefined || call.call === "listJobs") return [];
    const { askedAtMs, answeredAtMs } = call;
    const told = { jobId: textOf(job, "jobId"), state: stateOf(job["state"]) ?? "", lastEvent: numberOf(job, "lastEventNumber") };
    return [{ ...told, askedAtMs, answeredAtMs, call, job }];
  });
}

/** Answers to submits: jobs that the farm has acknowledged. */
export function acknowledgedOf(calls: readonly ClientCall[]): readonly ToldJob[] {
  return toldJobsOf(calls.filter(({ call }) => call === "submitRender" || call === "submitRenders"));
}
