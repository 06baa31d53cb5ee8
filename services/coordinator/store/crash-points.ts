/**
 * The coordinator's crash points: around each call of the store that commits.
 *
 * `<call>.committed`: committed, nobody told. `<call>.begun`: asked for, nothing sent to the database; there where somebody asked, or where
 * something was done outside before. (What a crash within the transaction leaves is Postgres' to undo: test/integration/store/crash.test.ts.)
 */
import { crashPoint } from "../../platform/crash-points.ts";
import type { ReapOutcome, Store } from "./store-contract.ts";

const calls = {
  submit: "submitJob",
  cancel: "cancelJob",
  retry: "retryJob",
  update: "updateJob",
  next: "next",
  report: "report",
  beat: "beat",
  canary: "recordCanary",
  reap: "reap",
  promote: "promoteDelayed",
  sweep: "sweep",
  relay: "markEventsSent",
  condemn: "condemnArtifacts",
  collect: "collectArtifact",
  prune: "prune",
  webhook: "recordWebhookTry",
} as const satisfies Readonly<Record<string, keyof Store>>;

type Call = keyof typeof calls;

/** Every point, by name. `collect.removed`: an artifact's bytes are gone, its row is not. */
export const storeCrashPoints = [
  "submit.begun",
  "submit.committed",
  "cancel.begun",
  "cancel.committed",
  "retry.begun",
  "retry.committed",
  "update.committed",
  "next.begun",
  "next.committed",
  "report.begun",
  "report.committed",
  "beat.committed",
  "canary.committed",
  "reap.committed",
  "promote.committed",
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
  const method = calls[call];
  const asking = store as unknown as Readonly<Record<typeof method, (...values: readonly unknown[]) => Promise<unknown>>>;
  const asked = async (...values: readonly unknown[]): Promise<unknown> => {
    crash(`${call}.begun`);
    const result = await asking[method](...values);
    if (changed(call, result)) crash(`${call}.committed`);
    return result;
  };
  return { ...store, [method]: asked };
}

/** A reaper's round that ended nobody committed nothing. */
function changed(call: Call, result: unknown): boolean {
  return call !== "reap" || (result as ReapOutcome).kind === "reaped";
}
