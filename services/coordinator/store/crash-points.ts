/**
 * The coordinator's crash points: around the calls of the store that commit, where what is half done could matter to anybody.
 *
 * test/unit/coordinator/crash-points.test.ts names each committing call that has none, and why.
 *
 * `<call>.committed`: committed, nobody told. `<call>.begun`: asked for, nothing sent to the database; there where somebody asked, or where
 * something was done outside, read or decided before. (What a crash within the transaction leaves is Postgres' to undo: test/integration/store/crash.test.ts.)
 */
import { crashPoint } from "../../platform/crash-points.ts";
import type { DeadlineRound, JudgeOutcome, PreemptionRound, ReapOutcome, Store } from "./store-contract.ts";

/** The calls of the store that have crash points, by the name of these. */
export const storeCrashCalls = {
  submit: "submitJob",
  manifest: "submitManifest",
  cancel: "cancelJob",
  retry: "retryJob",
  rerun: "retryTask",
  update: "updateJob",
  next: "next",
  report: "report",
  beat: "beat",
  canary: "recordCanary",
  reap: "reap",
  promote: "promoteDelayed",
  expand: "expandRenders",
  again: "expandAgain",
  fail: "failWaiting",
  preempt: "preempt",
  deadline: "tellDeadlines",
  judge: "judgeWorkers",
  total: "totalUsage",
  budget: "applyBudgets",
  sweep: "sweep",
  relay: "markEventsSent",
  condemn: "condemnArtifacts",
  collect: "collectArtifact",
  prune: "prune",
  webhook: "recordWebhookTry",
} as const satisfies Readonly<Record<string, keyof Store>>;

type Call = keyof typeof storeCrashCalls;

/** Every point, by name. `collect.removed`: an artifact's bytes are gone, its row is not. */
export const storeCrashPoints = [
  "submit.begun",
  "submit.committed",
  "manifest.begun",
  "manifest.committed",
  "cancel.begun",
  "cancel.committed",
  "retry.begun",
  "retry.committed",
  "rerun.begun",
  "rerun.committed",
  "update.committed",
  "next.begun",
  "next.committed",
  "report.begun",
  "report.committed",
  "beat.committed",
  "canary.committed",
  "reap.committed",
  "promote.committed",
  // What was read and decided is lost.
  "expand.begun",
  "expand.committed",
  "again.committed",
  "fail.committed",
  "preempt.begun",
  "preempt.committed",
  "deadline.committed",
  "judge.begun",
  "judge.committed",
  "total.begun",
  "total.committed",
  "budget.begun",
  "budget.committed",
  "sweep.committed",
  // The events are in the stream.
  "relay.begun",
  "relay.committed",
  "condemn.committed",
  "collect.removed",
  "collect.committed",
  "prune.committed",
  // The message was delivered.
  "webhook.begun",
  "webhook.committed",
] as const satisfies readonly `${Call}.${"begun" | "removed" | "committed"}`[];

export type StoreCrashPoint = (typeof storeCrashPoints)[number];

/** The store, or one whose process dies at that point. */
export function withCrashPoint(store: Store, at: StoreCrashPoint | undefined): Store {
  if (at === undefined) return store;
  const crash = crashPoint<string>(at);
  if (at === "collect.removed") {
    const dying = (remove: () => Promise<void>) => () => remove().then(() => crash(at));
    return { ...store, collectArtifact: (sha256, remove) => store.collectArtifact(sha256, dying(remove)) };
  }
  const call = at.slice(0, at.indexOf(".")) as Call;
  const method = storeCrashCalls[call];
  const asking = store as unknown as Readonly<Record<typeof method, (...values: readonly unknown[]) => Promise<unknown>>>;
  const asked = async (...values: readonly unknown[]): Promise<unknown> => {
    crash(`${call}.begun`);
    const result = await asking[method](...values);
    if (changed(call, result)) crash(`${call}.committed`);
    return result;
  };
  return { ...store, [method]: asked };
}

/** A round that found nothing to do is not the one to die after. */
function changed(call: Call, result: unknown): boolean {
  switch (call) {
    case "reap":
      return (result as ReapOutcome).kind === "reaped";
    case "preempt":
      return (result as PreemptionRound).opened.length > 0;
    case "deadline":
      return (result as DeadlineRound).told.length > 0;
    case "judge":
      return (result as JudgeOutcome).changes.length > 0;
    case "total":
      return (result as number) > 0;
    default:
      return true;
  }
}
