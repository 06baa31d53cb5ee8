/**
 * ListTenants and UpdateTenant.
 */
import { nameRule, numberRule, refuseAny, violation, type Violations } from "../../domain/field-rules.ts";
import { FarmError } from "../../domain/errors.ts";
import {
  type ListTenantsRequest,
  type ListTenantsResponse,
  Tenant,
  type UpdateTenantRequest,
  type UpdateTenantResponse,
} from "../../gen/proto/vapfarm/v1/operator.ts";
import type { TenantStore, TenantView } from "../store/store-contract.ts";
import type { Call } from "./method.ts";

const leastWeight = 0.001;
const mostWeight = 1_000;
const mostAtOnce = 1_000_000_000;

/** The handler of ListTenants. */
export function createListTenants(store: Pick<TenantStore, "listTenants">) {
  return async (_request: ListTenantsRequest, { caller }: Call): Promise<ListTenantsResponse> => {
    const tenants = await store.listTenants(caller.role === "admin" ? undefined : caller.tenant);
    return { tenants: tenants.map(tenantToProto) };
  };
}

/** The handler of UpdateTenant. */
export function createUpdateTenant(store: Pick<TenantStore, "listTenants" | "setTenantLimit">) {
  return async ({ name, weight, maxRunning, maxWaiting }: UpdateTenantRequest): Promise<UpdateTenantResponse> => {
    refuseAny([
      ...(name === "" ? [violation("name", "is missing", "name the tenant")] : nameRule("name", name)),
      ...weightRule(weight),
      ...limitRule("max_running", maxRunning),
      ...limitRule("max_waiting", maxWaiting),
    ]);
    await store.setTenantLimit(name, { weight: weight === 0 ? 1 : weight, maxRunning, maxWaiting });
    const [tenant] = await store.listTenants(name);
    if (tenant === undefined) throw new FarmError("INTERNAL", { message: `tenant ${name} is gone` });
    return { tenant: tenantToProto(tenant) };
  };
}

function weightRule(weight: number): Violations {
  if (weight === 0 || (weight >= leastWeight && weight <= mostWeight)) return [];
  return [violation("weight", `${weight} is outside ${leastWeight} .. ${mostWeight}`, "choose a number in that range, or 0 for 1")];
}

function limitRule(field: string, value: number | undefined): Violations {
  return value === undefined ? [] : numberRule(field, { value, min: 0, max: mostAtOnce });
}

function tenantToProto({ tenant, limit, shares, ...counts }: TenantView): Tenant {
  return Tenant.create({ name: tenant, ...limit, ...counts, shares: shares.map((share) => ({ ...share })) });
}
