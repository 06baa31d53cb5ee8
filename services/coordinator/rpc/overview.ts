/**
 * GetFarm and GetUsage: the farm at a glance, and what its attempts cost.
 */
import { nameRule, refusalOf, refuseAny, timeRule, violation, type Violations } from "../../domain/field-rules.ts";
import {
  Farm,
  type GetFarmRequest,
  type GetFarmResponse,
  type GetUsageRequest,
  type GetUsageResponse,
} from "../../gen/proto/vapfarm/v1/operator.ts";
import type { ControlStore, JobStore, OverviewStore, ScalingStore } from "../store/store-contract.ts";
import { requestedScope, scopeOf } from "./caller.ts";
import { visibleHolds } from "./holds.ts";
import { jobOfCaller } from "./jobs.ts";
import type { Call } from "./method.ts";
import { poolToProto, usageToProto } from "./overview-mapping.ts";
import { namesOf, usageKeys } from "./wire-names.ts";

/** What these methods work with. */
export type OverviewDependencies = {
  readonly store: Pick<OverviewStore, "farmOverview" | "listWorkers" | "sumUsage"> &
    Pick<ControlStore, "listHolds"> &
    Pick<ScalingStore, "scaleRecords"> &
    Pick<JobStore, "getJob">;
  /** Every pool of the farm and the profile that its workers must have. */
  readonly pools: readonly { readonly name: string; readonly profile: string }[];
  readonly version: string;
  readonly now: () => Date;
};

const dayMs = 24 * 3_600 * 1_000;
const usageDays = 30;
const maxUsageRows = 10_000;

/** The handler of GetFarm. */
export function createGetFarm({ store, pools, version }: OverviewDependencies) {
  return async (_request: GetFarmRequest, { caller }: Call): Promise<GetFarmResponse> => {
    const [farm, workers, holds, scaled] = await Promise.all([
      store.farmOverview(scopeOf(caller)),
      store.listWorkers(scopeOf(caller)),
      store.listHolds(),
      store.scaleRecords(),
    ]);
    const profiles = new Map(pools.map(({ name, profile }) => [name, profile]));
    const names = new Set([...profiles.keys(), ...workers.map(({ pool }) => pool), ...farm.queues.map(({ pool }) => pool)]);
    return {
      farm: Farm.create({
        name: farm.name,
        version,
        epoch: BigInt(farm.epoch),
        pools: [...names].sort().map((name) => poolToProto({ name, profile: profiles.get(name) ?? "" }, { farm, workers, scaled })),
        holds: visibleHolds(holds, caller),
        openJobs: farm.openJobs,
        time: farm.at,
      }),
    };
  };
}

/** The handler of GetUsage. */
export function createGetUsage({ store, now }: OverviewDependencies) {
  return async (request: GetUsageRequest, call: Call): Promise<GetUsageResponse> => {
    const groupBy = namesOf(usageKeys, "group_by", request.groupBy);
    const violations = [...groupBy.violations, ...doubledKeys(request.groupBy)];
    const form = [...nameRule("tenant", request.tenant), ...timeRule("from", request.from), ...timeRule("until", request.until)];
    refuseAny([...form, ...violations]);
    const until = request.until ?? now();
    const from = request.from ?? new Date(until.getTime() - usageDays * dayMs);
    if (from >= until) throw refusalOf([violation("from", "is not before `until`", "choose an earlier time, or a later `until`")]);
    const scope = requestedScope(call.caller, request.tenant);
    const jobId = request.jobId === "" ? undefined : (await jobOfCaller(store, request.jobId, call)).jobId;
    const { rows, total, currency } = await store.sumUsage({ scope, from, until, groupBy: groupBy.named, jobId, limit: maxUsageRows });
    return { rows: rows.map((row) => usageToProto(row, currency)), total: usageToProto(total, currency) };
  };
}

function doubledKeys(keys: readonly number[]): Violations {
  return keys.flatMap((key, index) =>
    keys.indexOf(key) === index ? [] : [violation(`group_by[${index}]`, "names a key again", "name each key once")],
  );
}
