/**
 * The catalogue of NATS subjects (design §2). Payloads are protobuf: dispatch.proto names them.
 *
 * | subject                        | payload                              | manner                            |
 * |--------------------------------|--------------------------------------|-----------------------------------|
 * | vf.<farm>.<pool>.next          | NextRequest → NextResponse           | request/reply, service group      |
 * | vf.<farm>.<pool>.beat          | BeatRequest → BeatResponse           | request/reply, service group      |
 * | vf.<farm>.<pool>.report        | ReportRequest → ReportResponse       | request/reply, service group      |
 * | vf.<farm>.worker.<worker id>   | WorkerSignal                         | publish, may be lost              |
 * | vf.<farm>.progress.<job id>    | ProgressMessage                      | publish, may be lost              |
 * | vf.<farm>.hint.<job id>        | nothing                              | publish: the job has new events   |
 * | vf.<farm>.events.<job id>      | JobEvent                             | JetStream, copy of the event rows |
 * | vf.<farm>.tail.<attempt id>    | LostAttempt                          | JetStream, the newest is kept     |
 */
import { FarmError } from "../../domain/errors.ts";

export type Subjects = {
  next(pool: string): string;
  beat(pool: string): string;
  report(pool: string): string;
  worker(workerId: string): string;
  progress(jobId: string): string;
  hint(jobId: string): string;
  events(jobId: string): string;
  /** Name of the stream that holds the copy of the event log. */
  readonly eventStream: string;
  readonly allEvents: string;
  /** The last log lines of an attempt that runs; "*" for those of all. */
  readonly tail: (attemptId: string) => string;
  /** Name of the stream that holds the newest of each. */
  readonly tailStream: string;
};

/** Queue group in which all coordinators answer. */
export const coordinatorGroup = "vapfarm-coordinator";

const tokenPattern = /^[A-Za-z0-9_-]{1,64}$/;

/** One subject token; throws CONFIG_INVALID for what NATS would read as several or as a wildcard. */
export function subjectToken(text: string): string {
  if (tokenPattern.test(text)) return text;
  throw new FarmError("CONFIG_INVALID", { message: `"${text}" cannot be part of a NATS subject; use letters, digits, "-" and "_"` });
}

/** The subjects of one farm. */
export function subjectsOf(farm: string): Subjects {
  const root = `vf.${subjectToken(farm)}`;
  return {
    next: (pool) => `${root}.${subjectToken(pool)}.next`,
    beat: (pool) => `${root}.${subjectToken(pool)}.beat`,
    report: (pool) => `${root}.${subjectToken(pool)}.report`,
    worker: (workerId) => `${root}.worker.${subjectToken(workerId)}`,
    progress: (jobId) => `${root}.progress.${subjectToken(jobId)}`,
    hint: (jobId) => `${root}.hint.${subjectToken(jobId)}`,
    events: (jobId) => `${root}.events.${subjectToken(jobId)}`,
    eventStream: `VF_${farm}_EVENTS`,
    allEvents: `${root}.events.*`,
    tail: (attemptId) => `${root}.tail.${attemptId === "*" ? "*" : subjectToken(attemptId)}`,
    tailStream: `VF_${farm}_TAILS`,
  };
}
