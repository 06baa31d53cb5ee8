/**
 * Which versions a node is to hold, and what goes from it to make room: what the farm says of each, and what lies here.
 */
import { bytesText } from "../../domain/bytes-text.ts";
import { FarmError } from "../../domain/errors.ts";
import { pinnedReference } from "../../domain/model-reference.ts";
import { type HeldVersion, makeRoom } from "../../domain/node-budget.ts";
import type { ModelVersion } from "../../gen/proto/vapfarm/v1/models.ts";
import { listNode, type NodeVersion, removeVersion } from "./node-folder.ts";

/** Why the farm needs a version; undefined: nothing names it. */
export function neededFor({ aliases, liveJobs }: Pick<ModelVersion, "aliases" | "liveJobs">): string | undefined {
  const [alias] = aliases;
  if (alias !== undefined) return `alias ${alias}`;
  return liveJobs > 0 ? `${liveJobs} live jobs` : undefined;
}

/** Every version that an alias or a live job names, of a pool's models where one is named. */
export function versionsNeeded(versions: readonly ModelVersion[], pool: string | undefined): readonly ModelVersion[] {
  return versions.filter((version) => version.ready && neededFor(version) !== undefined && (pool === undefined || version.pool === pool));
}

type Node = Pick<RoomQuestion, "root" | "known" | "budgetBytes">;

/** Of versions that the farm needs those that fit together beside what stays here, what aliases name first; evicts nothing. */
export async function fittingOf(
  needed: readonly ModelVersion[],
  { root, known, budgetBytes }: Node,
): Promise<{ readonly fitting: readonly ModelVersion[]; readonly left: readonly ModelVersion[] }> {
  const referenceOf = ({ name, version }: ModelVersion): string => pinnedReference(name, version);
  const here = await listNode(root);
  const held = here.map((version) => heldVersion(version, known, needed.map(referenceOf)));
  const isHere = new Set(here.map(({ reference }) => reference));
  const fitting: ModelVersion[] = [];
  const left: ModelVersion[] = [];
  let neededBytes = 0;
  for (const version of needed.toSorted((one, other) => Number(other.aliases.length > 0) - Number(one.aliases.length > 0))) {
    const bytes = isHere.has(referenceOf(version)) ? 0 : Number(version.sizeBytes);
    const fits = bytes === 0 || makeRoom({ held, neededBytes: neededBytes + bytes, budgetBytes }).kind === "fits";
    (fits ? fitting : left).push(version);
    if (fits) neededBytes += bytes;
  }
  return { fitting, left };
}

export type RoomQuestion = {
  readonly root: string;
  /** What the farm says of every version. */
  readonly known: readonly ModelVersion[];
  /** What is about to be held; never evicted. */
  readonly wanted: readonly string[];
  readonly neededBytes: number;
  readonly budgetBytes: number;
  readonly isDry: boolean;
};

/** Evicts what makes room; MODEL_BUDGET_EXCEEDED, and nothing evicted, where it cannot fit. */
export async function evictForRoom(question: RoomQuestion): Promise<readonly HeldVersion[]> {
  const { root, known, wanted, neededBytes, budgetBytes, isDry } = question;
  const here = await listNode(root);
  const held = here.map((version) => heldVersion(version, known, wanted));
  const decision = makeRoom({ held, neededBytes, budgetBytes });
  if (decision.kind === "refused") throw exceeded(question, decision);
  if (isDry) return decision.evict;
  const going = new Set(decision.evict.map(({ reference }) => reference));
  for (const version of here) if (going.has(version.reference)) await removeVersion(root, version);
  return decision.evict;
}

function heldVersion({ reference, bytes, usedAtMs }: NodeVersion, known: readonly ModelVersion[], wanted: readonly string[]): HeldVersion {
  const told = known.find(({ name, version }) => pinnedReference(name, version) === reference);
  const need = told === undefined ? undefined : neededFor(told);
  return {
    reference,
    bytes,
    // A job that was pinned to it since it was pulled has used it, whoever asked for it here.
    usedAtMs: Math.max(usedAtMs, told?.useTime?.getTime() ?? 0),
    neededFor: wanted.includes(reference) ? "this pull" : need,
  };
}

function exceeded(
  { root, neededBytes, budgetBytes }: RoomQuestion,
  { shortBytes, staying }: { readonly shortBytes: number; readonly staying: readonly HeldVersion[] },
): FarmError {
  const kept = staying.map(({ reference, bytes, neededFor: why }) => `${reference} (${bytesText(bytes)}, ${why ?? ""})`).join(", ");
  const what = neededBytes > 0 ? `${bytesText(neededBytes)} more do not fit` : "what lies there does not fit";
  return new FarmError("MODEL_BUDGET_EXCEEDED", {
    message: `${what} into the ${bytesText(budgetBytes)} of ${root}: ${bytesText(shortBytes)} are missing; what stays: ${kept === "" ? "nothing" : kept}`,
  });
}
