/**
 * What duties did: each counts where its duty runs, so a sum over coordinators is the farm's.
 *
 * A gauge that a duty sets is 0 where its last round did not run: what an earlier holder saw last is not how things are.
 */
import { knownOr, type Metrics, seriesOf, startAtZero } from "../../platform/metrics.ts";
import type { Round } from "../duties/duty.ts";
import type { WebhookOutcome } from "../duties/webhooks.ts";
import type { JudgeOutcome, ReapOutcome, UnsentEvent } from "../store/store-contract.ts";

export type RoundMetrics = {
  readonly onRound: (round: Round) => void;
  readonly onReap: (outcome: ReapOutcome) => void;
  readonly onRepaired: (count: number) => void;
  readonly onExpanded: (renders: number) => void;
  /** An event's copy is in JetStream; told once. */
  readonly onCopied: (event: Pick<UnsentEvent, "kind" | "jobRenders">) => void;
  readonly onWebhookTry: (outcome: WebhookOutcome) => void;
  readonly onUnbalanced: (attempts: number) => void;
  readonly onJudged: (outcome: JudgeOutcome) => void;
};

/** Registers them; pools are those that the coordinator answers for. */
export function createRoundMetrics(metrics: Metrics, pools: readonly string[]): RoundMetrics {
  const rounds = metrics.counter("vapfarm_duty_rounds_total", "Rounds of duties by outcome", ["duty", "outcome"]);
  const repairs = metrics.counter("vapfarm_sweep_repairs_total", "Repairs of what should never be; each one is a bug");
  const expanded = metrics.counter("vapfarm_expanded_renders_total", "Renders that waited and were expanded, or failed for their model");
  const webhooks = metrics.counter("vapfarm_webhook_tries_total", "Tries to deliver webhooks by outcome", ["outcome"]);
  const unbalanced = metrics.gauge("vapfarm_books_unbalanced", "Recent attempts that are not the sum of their entries; each one is a bug");
  startAtZero(repairs);
  startAtZero(expanded);
  startAtZero(webhooks, seriesOf("outcome", ["delivered", "failed", "given_up"]));
  const { onJudged, onNotJudged } = createJudgeMetrics(metrics, pools);
  return {
    onRound({ duty, outcome }) {
      rounds.inc({ duty, outcome });
      if (duty === "health" && outcome !== "ran") onNotJudged();
      if (duty === "books" && outcome !== "ran") unbalanced.set(0);
    },
    onReap: createReapCounter(metrics),
    onRepaired: (count) => repairs.inc(count),
    onExpanded: (renders) => expanded.inc(renders),
    ...createRelayMetrics(metrics),
    onWebhookTry: (outcome) => webhooks.inc({ outcome }),
    onUnbalanced: (attempts) => unbalanced.set(attempts),
    onJudged,
  };
}

function createReapCounter(metrics: Metrics): RoundMetrics["onReap"] {
  const lost = metrics.counter("vapfarm_lease_losses_total", "Sessions reaped because their lease ran out");
  const heldBack = metrics.counter("vapfarm_reap_held_back_total", "Rounds in which reaping was held back");
  const massLapses = metrics.counter("vapfarm_mass_lapses_total", "Rounds in which much of a pool had lapsed at once");
  for (const counter of [lost, heldBack, massLapses]) startAtZero(counter);
  return ({ kind, sessions, massLapse }) => {
    lost.inc(sessions);
    if (kind === "held_back") heldBack.inc();
    if (massLapse) massLapses.inc();
  };
}

const ends = ["succeeded", "failed", "cancelled"];
const notices = ["over_budget", "budget_warned", "budget_reached", "deadline_at_risk", "deadline_missed"];
/** As farm.proto names them (JobEvent.kind); renders have events of their own in jobs of several. */
const eventKinds = [
  ...["submitted", "updated", "retried", ...ends, ...notices].map((what) => `job.${what}`),
  ...["retried", ...ends].map((what) => `render.${what}`),
  ...["started", "succeeded", "failed", "retried", "preempted"].map((what) => `task.${what}`),
];

function createRelayMetrics(metrics: Metrics): Pick<RoundMetrics, "onCopied"> {
  const copied = metrics.counter("vapfarm_events_total", "Events that were copied to JetStream, by kind", ["kind"]);
  startAtZero(copied, seriesOf("kind", eventKinds));
  const ended = metrics.counter("vapfarm_renders_ended_total", "Renders that ended, by how", ["state"]);
  startAtZero(ended, seriesOf("state", ends));
  const known = new Set(eventKinds);
  return {
    onCopied({ kind, jobRenders }) {
      copied.inc({ kind: knownOr(known, kind) });
      const state = endOfRender(kind, jobRenders);
      if (state !== undefined) ended.inc({ state });
    },
  };
}

/** How a render ended, if the event tells that: renders of jobs of several have events of their own, a single one ends with its job. */
function endOfRender(kind: string, jobRenders: number): string | undefined {
  return ends.find((end) => kind === `render.${end}` || (jobRenders === 1 && kind === `job.${end}`));
}

function createJudgeMetrics(
  metrics: Metrics,
  pools: readonly string[],
): Pick<RoundMetrics, "onJudged"> & { readonly onNotJudged: () => void } {
  const suspensions = metrics.counter("vapfarm_worker_suspensions_total", "Workers that were suspended for their failures", ["pool"]);
  const spared = metrics.gauge(
    "vapfarm_worker_suspensions_held_back",
    "Workers not suspended though judged so: too few others, at the last round",
  );
  startAtZero(suspensions, seriesOf("pool", pools));
  return {
    onJudged({ changes, heldBack }) {
      for (const { state, pool } of changes) if (state === "suspended") suspensions.inc({ pool });
      spared.set(heldBack.length);
    },
    onNotJudged: () => spared.set(0),
  };
}
