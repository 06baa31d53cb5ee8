/**
 * Claims with the place of their attempt in a trace, so that the worker's spans and log lines name it.
 *
 * One read for all claims of a call, and only where the farm traces. It holds claims up for 100 ms at most: those whose trace cannot be read
 * in that time go out without.
 */
import { toFarmError } from "../../domain/errors.ts";
import { withDeadline } from "../../platform/deadline.ts";
import type { Logger } from "../../platform/logging.ts";
import { traceparentOf } from "../../platform/tracing/trace-context.ts";
import type { Tracer } from "../../platform/tracing/tracer.ts";
import type { AttemptOwner, ClaimView, DispatchStore, NextOutcome, TraceStore } from "../store/store-contract.ts";
import { attemptContextOf } from "./trace-of.ts";

type Traces = { readonly store: Pick<TraceStore, "attemptOwners">; readonly tracer: Tracer; readonly logger: Logger };

const patienceMs = 100;

/** The same store; where tracing is off, it itself. */
export function withClaimTraces<S extends DispatchStore>(dispatch: S, traces: Traces): S {
  if (!traces.tracer.isOn) return dispatch;
  return { ...dispatch, next: async (asks) => withTraces(await dispatch.next(asks), traces) };
}

async function withTraces(outcomes: readonly NextOutcome[], traces: Traces): Promise<readonly NextOutcome[]> {
  const claims = outcomes.flatMap((outcome) => (outcome.kind === "answered" && outcome.claim !== undefined ? [outcome.claim] : []));
  const owners = await ownersOf(claims, traces);
  return outcomes.map((outcome) => {
    const claim = outcome.kind === "answered" ? outcome.claim : undefined;
    const owner = claim === undefined ? undefined : owners.get(claim.attemptId);
    return claim === undefined || owner === undefined ? outcome : { ...outcome, claim: tracedClaim(claim, owner, traces.tracer.share) };
  });
}

async function ownersOf(claims: readonly ClaimView[], { store, logger }: Traces): Promise<ReadonlyMap<string, AttemptOwner>> {
  if (claims.length === 0) return new Map();
  try {
    const reading = store.attemptOwners(claims.map(({ attemptId }) => attemptId));
    const owners = await withDeadline(reading, { ms: patienceMs, what: "reading the traces of claims" });
    return new Map(owners.map((owner) => [owner.attemptId, owner]));
  } catch (thrown) {
    logger.debug({ code: toFarmError(thrown).code }, "claims go out without their traces");
    return new Map();
  }
}

/** The job whose render's trace it is comes first among those that the attempt serves. */
function tracedClaim(claim: ClaimView, owner: AttemptOwner, share: number): ClaimView {
  const { jobId, attemptId } = owner;
  const jobIds = claim.jobIds.includes(jobId) ? [jobId, ...claim.jobIds.filter((other) => other !== jobId)] : claim.jobIds;
  return { ...claim, jobIds, traceparent: traceparentOf(attemptContextOf(owner, attemptId, share)) };
}
