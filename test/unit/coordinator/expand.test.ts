import { describe, expect, it } from "vitest";
import { createExpand } from "../../../services/coordinator/duties/expand.ts";
import type { ServedModel } from "../../../services/coordinator/rpc/served-model.ts";
import type { Expansion, ExpansionFailure, WaitingRender } from "../../../services/coordinator/store/store-contract.ts";
import { FarmError } from "../../../services/domain/errors.ts";
import { plannedRender, task } from "../../support/store-world.ts";

const digest = "a".repeat(64);
const waiting = (renderId: number, model: string, change: Partial<WaitingRender> = {}): WaitingRender => ({
  renderId,
  jobId: "job",
  tenant: "local",
  reuse: "all",
  position: renderId,
  spec: plannedRender([], { model }).render,
  modelDigest: digest,
  isPlanned: false,
  ...change,
});
const model = (plan: ServedModel["plan"]): ServedModel =>
  ({ digest, digestFor: () => digest, pool: "pool", plan }) as unknown as ServedModel;
const models = new Map([
  ["sound", model(() => [task("one")])],
  ["broken", model(() => { throw new FarmError("MODEL_INVALID"); })], // prettier-ignore
]);

/** One round over these renders, which are chosen once. */
async function roundOver(renders: readonly WaitingRender[]) {
  const failures: ExpansionFailure[] = [];
  const expansions: Expansion[] = [];
  const again: [string, readonly WaitingRender[]][] = [];
  const nothing = { ready: [], touchedJobIds: [] };
  let line = [{ jobId: "job", tenant: "local", jobClass: "production" as const, priority: 0, createdAt: 1, renders: renders.length }];
  const expand = createExpand({
    store: {
      expansionFacts: () => Promise.resolve({ isWaiting: true, pools: line.length > 0 ? [{ pool: "pool", open: [], lines: line }] : [] }),
      waitingRenders: () => Promise.resolve(((line = []), renders)),
      expandRenders: (_epoch, expansion) => Promise.resolve((expansions.push(expansion), nothing)),
      expandAgain: (_epoch, tenant, some) => Promise.resolve((again.push([tenant, some]), nothing)),
      failWaiting: (_epoch, some) => Promise.resolve((failures.push(...some), nothing)),
    },
    models: () => Promise.resolve(models),
    window: 100,
    intervalMs: 1,
    budgetMs: 1_000,
    clock: () => 0,
    onCommitted: () => undefined,
    onExpanded: () => undefined,
  });
  await expand.run(1, new AbortController().signal);
  return { failures, expansions, again, isWaiting: expand.isWaiting() };
}

describe("the duty that expands", () => {
  it("fails a render whose model is gone, has changed or cannot be planned, and expands the others", async () => {
    const { failures, expansions, isWaiting } = await roundOver([
      waiting(0, "sound"),
      waiting(1, "gone"),
      waiting(2, "sound", { modelDigest: "b".repeat(64) }),
      waiting(3, "broken"),
      waiting(4, "sound", { modelDigest: undefined }),
    ]);
    expect(failures.map(({ render, code }) => [render.renderId, code])).toEqual([
      [1, "MODEL_UNKNOWN"],
      [2, "MODEL_CHANGED"],
      [3, "MODEL_INVALID"],
    ]);
    expect(expansions.map(({ tenant, pool, renders }) => [tenant, pool, renders.map(({ render }) => render.renderId)])).toEqual([
      ["local", "pool", [0, 4]],
    ]);
    expect(isWaiting).toBe(true);
  });

  it("stores each tenant's renders in a statement of its own, and those that had tasks as they were", async () => {
    const { expansions, again } = await roundOver([
      waiting(0, "sound"),
      waiting(1, "sound", { tenant: "other" }),
      waiting(2, "gone", { isPlanned: true }),
    ]);
    expect(expansions.map(({ tenant, renders }) => [tenant, renders.length])).toEqual([
      ["local", 1],
      ["other", 1],
    ]);
    expect(again.map(([tenant, renders]) => [tenant, renders.map(({ renderId }) => renderId)])).toEqual([["local", [2]]]);
  });
});
