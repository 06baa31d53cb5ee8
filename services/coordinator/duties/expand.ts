/**
 * Expand: renders that wait become tasks as fast as their pools' windows have room (design §5).
 *
 * Reads which windows have room, decides by domain/expansion, plans what was chosen as a submit does, and stores it tenant by tenant, each in
 * one statement under the duty's epoch. A render whose model is gone or has changed fails for that, and nothing else does.
 */
import { setImmediate as otherCallsTurn } from "node:timers/promises";
import { decideExpansion, type ExpandLine } from "../../domain/expansion.ts";
import { type FarmError, toFarmError } from "../../domain/errors.ts";
import type { PlannedTask } from "../../domain/planned-task.ts";
import type { ServedModel, ServedModels } from "../rpc/served-model.ts";
import type { Aftermath, Expansion, ExpansionFailure, ExpansionStore, WaitingRender } from "../store/store-contract.ts";
import type { DutySpec } from "./duty.ts";

export type ExpandOptions = {
  readonly store: Pick<ExpansionStore, "expansionFacts" | "waitingRenders" | "expandRenders" | "expandAgain" | "failWaiting">;
  readonly models: ServedModels;
  /** Renders that a pool may have open. */
  readonly window: number;
  readonly intervalMs: number;
  /** Longest that a round goes on; well under the duty's hold, which is renewed between rounds only. */
  readonly budgetMs: number;
  /** Monotonic, in ms. */
  readonly clock: () => number;
  readonly onCommitted: (aftermath: Aftermath) => void;
  /** Told how many renders a step expanded or failed. */
  readonly onExpanded: (renders: number) => void;
};

/** Of one decision: their tasks are one statement's, which holds its locks for tens of milliseconds. */
const mostRenders = 100;

export type Expand = DutySpec & {
  /** Whether a render that ends may make room for one that waits: as the last round of this process saw it. */
  isWaiting(): boolean;
};

/** The expanding rounds. */
export function createExpand(options: ExpandOptions): Expand {
  let isWaiting = false;
  return {
    name: "expand",
    intervalMs: options.intervalMs,
    isWaiting: () => isWaiting,
    async run(epoch, signal) {
      const untilMs = options.clock() + options.budgetMs;
      for (let renders = 1; renders > 0 && !signal.aborted && options.clock() < untilMs;) {
        const facts = await options.store.expansionFacts();
        ({ isWaiting } = facts);
        renders = await expandSome(options, epoch, decideExpansion(facts.pools, options.window, mostRenders));
      }
    },
  };
}

/** Carries out one decision; how many renders it was about. */
async function expandSome(options: ExpandOptions, epoch: number, lines: readonly ExpandLine[]): Promise<number> {
  const { store, models, onCommitted, onExpanded } = options;
  if (lines.length === 0) return 0;
  const renders = await store.waitingRenders(lines);
  const { failures, again, expansions } = await planAll(renders, await models());
  if (failures.length > 0) onCommitted(await store.failWaiting(epoch, failures));
  for (const [tenant, planned] of again) onCommitted(await store.expandAgain(epoch, tenant, planned));
  for (const expansion of expansions) onCommitted(await store.expandRenders(epoch, expansion));
  onExpanded(renders.length);
  return renders.length;
}

type Plans = {
  readonly failures: readonly ExpansionFailure[];
  /** By tenant. */
  readonly again: ReadonlyMap<string, readonly WaitingRender[]>;
  readonly expansions: readonly Expansion[];
};

async function planAll(renders: readonly WaitingRender[], models: ReadonlyMap<string, ServedModel>): Promise<Plans> {
  const failures: ExpansionFailure[] = [];
  const again = new Map<string, WaitingRender[]>();
  const expansions = new Map<string, Expansion & { readonly renders: Expansion["renders"][number][] }>();
  for (const render of renders) {
    if (render.isPlanned) {
      again.set(render.tenant, [...(again.get(render.tenant) ?? []), render]);
      continue;
    }
    const plan = planOne(render, models.get(render.spec.model));
    if (plan.kind === "failed") {
      failures.push({ render, code: plan.error.code, message: plan.error.message });
      continue;
    }
    const key = JSON.stringify([render.tenant, plan.pool]);
    const batch = expansions.get(key) ?? { tenant: render.tenant, pool: plan.pool, renders: [] };
    batch.renders.push({ render, tasks: plan.tasks });
    expansions.set(key, batch);
    // Planning is hashing: calls get their turn in between.
    if (batch.renders.length % 25 === 0) await otherCallsTurn();
  }
  return { failures, again, expansions: [...expansions.values()] };
}

type Plan =
  | { readonly kind: "planned"; readonly pool: string; readonly tasks: readonly PlannedTask[] }
  | { readonly kind: "failed"; readonly error: Pick<FarmError, "code" | "message"> };

function planOne({ spec, jobId, tenant, reuse, modelDigest }: WaitingRender, model: ServedModel | undefined): Plan {
  if (model === undefined) {
    return { kind: "failed", error: { code: "MODEL_UNKNOWN", message: `model ${spec.model} is not served any more` } };
  }
  if (modelDigest !== undefined && modelDigest !== model.digestFor(spec)) {
    return {
      kind: "failed",
      error: { code: "MODEL_CHANGED", message: `model ${spec.model}, or what measures it, is another than when the render was submitted` },
    };
  }
  try {
    return { kind: "planned", pool: model.pool, tasks: model.plan(spec, { jobId, tenant, reuse }) };
  } catch (thrown) {
    return { kind: "failed", error: toFarmError(thrown) };
  }
}
