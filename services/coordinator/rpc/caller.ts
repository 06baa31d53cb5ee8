/**
 * Who calls: tenant and role, from the call's bearer token.
 *
 * Without configured callers every call is `local/admin` (a farm on one machine, loopback only). With callers, a call
 * without a known token is refused. Tokens are kept and compared as hashes only.
 */
import { createHash } from "node:crypto";
import { FarmError } from "../../domain/errors.ts";
import type { TenantScope } from "../store/store-contract.ts";

/** Every role, each allowed what those before it are. */
export const roles = ["reader", "member", "admin"] as const;
/** What a caller may do: a reader only reads, a member also submits, uploads and cancels, an admin everything. */
export type Role = (typeof roles)[number];

/** On whose behalf a call is made. */
export type Caller = { readonly tenant: string; readonly role: Role };

/** A caller of the configuration and the token that proves it. */
export type ConfiguredCaller = Caller & { readonly token: { reveal(): string } };

/** The caller of a call, given its `authorization` header; throws CALLER_UNKNOWN. */
export type CallerLookup = (authorization: string | undefined) => Caller;

const localAdmin: Caller = { tenant: "local", role: "admin" };

/** Looks callers up by token; undefined configuration means that everybody is local/admin. */
export function createCallerLookup(configured: readonly ConfiguredCaller[] | undefined): CallerLookup {
  if (configured === undefined) return () => localAdmin;
  const byHash = new Map(configured.map(({ token, tenant, role }) => [hashOf(token.reveal()), { tenant, role }]));
  return (authorization) => {
    const token = /^Bearer ([^\s]+)$/i.exec(authorization ?? "")?.[1];
    const caller = token === undefined ? undefined : byHash.get(hashOf(token));
    if (caller === undefined) throw new FarmError("CALLER_UNKNOWN");
    return caller;
  };
}

/** Throws CALLER_NOT_ALLOWED unless the caller's role includes the needed one. */
export function requireRole(caller: Caller, needed: Role): void {
  if (roles.indexOf(caller.role) >= roles.indexOf(needed)) return;
  throw new FarmError("CALLER_NOT_ALLOWED", { message: `role ${caller.role} may not do this; it needs ${needed}` });
}

/** Whose jobs a caller may see and steer: its tenant's, or for an admin everybody's. */
export function scopeOf({ tenant, role }: Caller): TenantScope {
  return role === "admin" ? undefined : tenant;
}

/** The scope of a request that names a tenant, or none; CALLER_NOT_ALLOWED for another tenant than one's own unless one is an admin. */
export function requestedScope(caller: Caller, tenant: string): TenantScope {
  if (tenant === "") return scopeOf(caller);
  if (tenant !== caller.tenant) requireRole(caller, "admin");
  return tenant;
}

function hashOf(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}
