/**
 * What the duty `expand` asks of the store: renders that wait become tasks when the window of their pool has room.
 */
import type { ExpandingPool, ExpandLine } from "../../domain/expansion.ts";
import type { PlannedTask } from "../../domain/planned-task.ts";
import type { RenderSpec } from "../../domain/render-spec.ts";
import type { Aftermath } from "./aftermath-contract.ts";
import type { Reuse } from "./job-contract.ts";

/** A render that waits, with what its plan is made from. */
export type WaitingRender = {
  readonly renderId: number;
  readonly jobId: string;
  readonly tenant: string;
  readonly reuse: Reuse;
  readonly position: number;
  readonly spec: RenderSpec;
  /** What its model was when it was asked for; undefined: not known. */
  readonly modelDigest: string | undefined;
  /** It had tasks before and is to be planned as it was. */
  readonly isPlanned: boolean;
};

/** Renders of one tenant that go into one pool, planned. */
export type Expansion = {
  readonly tenant: string;
  readonly pool: string;
  readonly renders: readonly { readonly render: WaitingRender; readonly tasks: readonly PlannedTask[] }[];
};

/** Why a render cannot be expanded. */
export type ExpansionFailure = { readonly render: WaitingRender; readonly code: string; readonly message: string };

/** Each write changes nothing under an epoch of the duty `expand` that is over, and passes over renders that do not wait any more. */
export type ExpansionStore = {
  /** Whether any render waits, and the pools that renders wait for and whose windows have room. */
  expansionFacts(): Promise<{ readonly isWaiting: boolean; readonly pools: readonly ExpandingPool[] }>;
  /** The first that wait of each line, in order. */
  waitingRenders(lines: readonly ExpandLine[]): Promise<readonly WaitingRender[]>;
  /** Those whose uploads are gone are failed, the others are expanded. */
  expandRenders(dutyEpoch: number, expansion: Expansion): Promise<Aftermath>;
  /** Expands renders of one tenant as they were planned before. */
  expandAgain(dutyEpoch: number, tenant: string, renders: readonly WaitingRender[]): Promise<Aftermath>;
  failWaiting(dutyEpoch: number, failures: readonly ExpansionFailure[]): Promise<Aftermath>;
  /** How many renders wait, and how many are expanded and open, by pool. */
  windowCounts(): Promise<readonly { readonly pool: string; readonly waiting: number; readonly open: number }[]>;
};
