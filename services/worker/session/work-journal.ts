/**
 * The journal of an agent: what it was given, and what its reports were answered, for whoever holds the farm's books against it.
 */
import {
  type AttemptReport,
  AttemptReportDisposition,
  type AttemptReportOutcome,
  type TaskClaim,
} from "../../gen/proto/vapfarm/v1/dispatch.ts";

/** A line of the journal; each also has `atMs`, this machine's clock. */
export type WorkLine = ClaimedLine | AnsweredLine;

type ClaimedLine = {
  readonly kind: "claimed";
  readonly attemptId: string;
  readonly taskId: string;
  readonly stage: string;
  readonly sessionId: string;
  readonly farmEpoch: string;
};

type AnsweredLine = {
  readonly kind: "answered";
  readonly attemptId: string;
  /** What the report was answered: "committed", "already_committed", "superseded". */
  readonly disposition: string;
  /** "succeeded", or the code of the failure. */
  readonly outcome: string;
  readonly deviceMs: number;
  readonly outputs: readonly { readonly name: string; readonly sha256: string; readonly sizeBytes: number }[];
};

const dispositions: Readonly<Partial<Record<AttemptReportDisposition, string>>> = {
  [AttemptReportDisposition.ATTEMPT_REPORT_DISPOSITION_COMMITTED]: "committed",
  [AttemptReportDisposition.ATTEMPT_REPORT_DISPOSITION_ALREADY_COMMITTED]: "already_committed",
  [AttemptReportDisposition.ATTEMPT_REPORT_DISPOSITION_SUPERSEDED]: "superseded",
};

/** Written when the claim is taken. */
export function claimedLine(
  { attemptId, taskId, stage }: TaskClaim,
  session: { readonly id: string; readonly epoch: bigint },
): ClaimedLine {
  return { kind: "claimed", attemptId, taskId: taskId.toString(), stage, sessionId: session.id, farmEpoch: session.epoch.toString() };
}

/** Written when a report was answered. */
export function answeredLine(report: AttemptReport, answer: AttemptReportOutcome | undefined): AnsweredLine {
  const { attemptId, deviceMs, outcome } = report;
  const disposition = (answer === undefined ? undefined : dispositions[answer.disposition]) ?? "unknown";
  const made = outcome?.$case === "success" ? outcome.value.outputs : [];
  const outputs = made.map(({ name, sha256, sizeBytes }) => ({ name, sha256, sizeBytes: Number(sizeBytes) }));
  const code = outcome?.$case === "failure" ? outcome.value.code : "succeeded";
  return { kind: "answered", attemptId, disposition, outcome: code, deviceMs, outputs };
}
