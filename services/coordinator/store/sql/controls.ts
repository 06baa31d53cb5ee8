/**
 * Holds, cordons and drains; the functions are in the migration that makes them, with their locks and indexes.
 *
 * Placing waits for the claims that are under way and keeps new ones waiting until it commits: what is forbidden is not claimed after it.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

/** $1: scope, $2: name, $3: by, $4: reason. Result: the hold. */
export const placeHoldStatement: NamedStatement = { name: "vf_place_hold", text: "select * from vf_place_hold($1, $2, $3, $4)" };

/** $1: scope, $2: name. Result: the aftermath, null when there was none. */
export const releaseHoldStatement: NamedStatement = { name: "vf_release_hold", text: "select vf_release_hold($1, $2) as result" };

/** Farm, pools, tenants; by name. */
export const listHoldsStatement: NamedStatement = {
  name: "vf_list_holds",
  text: "select scope, name, reason, placed_by, placed_at, origin from hold order by array_position(array['farm', 'pool', 'tenant'], scope), name, origin desc",
};

/** $1: worker, $2: by, $3: reason, $4: whether it is drained, $5: grace in ms or null. Result: {pushes, aftermath}, null when unknown. */
export const cordonStatement: NamedStatement = { name: "vf_cordon", text: "select vf_cordon($1, $2, $3, $4, $5) as result" };

/** $1: worker. Result: {pushes, aftermath}, null when unknown. */
export const uncordonStatement: NamedStatement = { name: "vf_uncordon", text: "select vf_uncordon($1) as result" };
