/**
 * What tenants are granted, and how they stand (domain/order.ts).
 */

export type TenantLimit = {
  /** Its part of the device time against those of others; above 0. */
  readonly weight: number;
  /** Attempts that run at once; undefined: any number. */
  readonly maxRunning: number | undefined;
  /** Renders that wait or run at once; undefined: any number. */
  readonly maxWaiting: number | undefined;
};

export type TenantView = {
  readonly tenant: string;
  readonly limit: TenantLimit;
  /** Tasks that could start, and attempts that run. */
  readonly readyTasks: number;
  readonly runningTasks: number;
  readonly openRenders: number;
  /** Decayed device time in ms, by pool. */
  readonly shares: readonly { readonly pool: string; readonly deviceMs: number }[];
};

export type TenantStore = {
  /** Holds for every claim and submit after its commit. */
  setTenantLimit(tenant: string, limit: TenantLimit): Promise<void>;
  /** Every tenant that was ever heard of, by name; only the one when one is named. */
  listTenants(tenant: string | undefined): Promise<readonly TenantView[]>;
  /** Remembers what device memory shapes need at least, in bytes; a larger estimate that is known stays. */
  learnShapes(bytes: Readonly<Record<string, number>>): Promise<void>;
};
