/**
 * PlaceHold, ReleaseHold and ListHolds.
 *
 * The farm and pools are an admin's to hold; a tenant its members' own, or an admin's. A pool that the farm does not have cannot be held,
 * but a hold that is left of one can be released.
 */
import { nameRule, reasonRule, refuseAny, unknownValue, violation, type Violations } from "../../domain/field-rules.ts";
import type {
  Hold,
  ListHoldsRequest,
  ListHoldsResponse,
  PlaceHoldRequest,
  PlaceHoldResponse,
  ReleaseHoldRequest,
  ReleaseHoldResponse,
} from "../../gen/proto/vapfarm/v1/operator.ts";
import type { Aftermath, ControlStore, HoldScope, HoldTarget, HoldView } from "../store/store-contract.ts";
import { type Caller, requireRole } from "./caller.ts";
import { holdToProto } from "./hold-mapping.ts";
import type { Call } from "./method.ts";
import { choiceOf, holdScopes } from "./wire-names.ts";

/** What holding works with; `onCommitted` is called after the commit. */
export type HoldDependencies = {
  readonly store: Pick<ControlStore, "placeHold" | "releaseHold" | "listHolds">;
  /** Names of the farm's pools. */
  readonly pools: readonly string[];
  readonly onCommitted: (aftermath: Aftermath) => void;
};

const places: readonly HoldScope[] = ["farm", "pool", "tenant"];

/** The handler of PlaceHold. */
export function createPlaceHold({ store, pools }: HoldDependencies) {
  return async (request: PlaceHoldRequest, { caller }: Call): Promise<PlaceHoldResponse> => {
    const { target, violations } = readTarget(request, caller);
    refuseAny([...violations, ...unknownPool(target, pools), ...reasonRule(request.reason)]);
    requireMay(caller, target);
    return { hold: holdToProto(await store.placeHold(target, { by: caller.tenant, reason: request.reason })) };
  };
}

/** The handler of ReleaseHold. */
export function createReleaseHold({ store, onCommitted }: HoldDependencies) {
  return async (request: ReleaseHoldRequest, { caller }: Call): Promise<ReleaseHoldResponse> => {
    const { target, violations } = readTarget(request, caller);
    refuseAny(violations);
    requireMay(caller, target);
    const aftermath = await store.releaseHold(target);
    if (aftermath !== undefined) onCommitted(aftermath);
    return { released: aftermath !== undefined };
  };
}

/** The handler of ListHolds. */
export function createListHolds({ store }: Pick<HoldDependencies, "store">) {
  return async (_request: ListHoldsRequest, { caller }: Call): Promise<ListHoldsResponse> => ({
    holds: visibleHolds(await store.listHolds(), caller),
  });
}

/** What a caller may know of the holds in force: those of the farm, the pools and its tenant, or for an admin all. */
export function visibleHolds(holds: readonly HoldView[], { tenant, role }: Caller): Hold[] {
  return holds
    .filter(({ scope, name }) => scope !== "tenant" || role === "admin" || name === tenant)
    .sort((left, right) => places.indexOf(left.scope) - places.indexOf(right.scope) || (left.name < right.name ? -1 : 1))
    .map(holdToProto);
}

type NamedTarget = { readonly scope: number; readonly name: string };

/** Where the scope is none, the target stands for nothing, and there are violations. */
function readTarget({ scope, name }: NamedTarget, caller: Caller): { readonly target: HoldTarget; readonly violations: Violations } {
  const choice = choiceOf(holdScopes, scope);
  const form = nameRule("name", name);
  switch (choice) {
    case "farm": {
      const named = violation("name", "names something, but the farm is held as a whole", "leave it empty, or hold a pool or a tenant");
      return { target: { scope: "farm", name: "" }, violations: name === "" ? [] : [named] };
    }
    case "pool":
      return { target: { scope: "pool", name }, violations: name === "" ? [violation("name", "is missing", "name the pool")] : form };
    case "tenant":
      return { target: { scope: "tenant", name: name === "" ? caller.tenant : name }, violations: form };
    case "unspecified":
      return {
        target: { scope: "farm", name: "" },
        violations: [violation("scope", "is missing", "choose farm, pool or tenant"), ...form],
      };
    case "unrecognized":
      return { target: { scope: "farm", name: "" }, violations: [unknownValue("scope"), ...form] };
  }
}

function unknownPool({ scope, name }: HoldTarget, pools: readonly string[]): Violations {
  if (scope !== "pool" || name === "" || nameRule("name", name).length > 0 || pools.includes(name)) return [];
  return [violation("name", `the farm has no pool ${name}`, `choose one of: ${pools.join(", ")}`)];
}

function requireMay(caller: Caller, { scope, name }: HoldTarget): void {
  requireRole(caller, scope === "tenant" && name === caller.tenant ? "member" : "admin");
}
