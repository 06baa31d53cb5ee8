/**
 * Refuses requests whose Host header is a name that this farm does not have, where everybody is served without credentials.
 *
 * A page of another origin can have its own name point at 127.0.0.1 and would then be of the same origin as the farm; but its requests name
 * its host. Literal addresses and localhost are no names that a stranger can point anywhere.
 */
import { isIP } from "node:net";
import { FarmError } from "../../domain/errors.ts";
import { type HttpRoute, otherRoute } from "../../platform/http.ts";
import type { Fail } from "./failure.ts";

/** A route that takes what must not go further; `publicUrl` is the farm's own address, where it has one. */
export function createHostGuard(fail: Fail, publicUrl: string | undefined): HttpRoute {
  const own = publicUrl === undefined ? undefined : hostOf(new URL(publicUrl).host);
  return (request, response) => {
    const host = hostOf(request.headers.host ?? "");
    if (host !== undefined && (isLocal(host) || host === own)) return Promise.resolve(undefined);
    fail(response, new FarmError("HOST_REFUSED"));
    return Promise.resolve(otherRoute);
  };
}

function hostOf(header: string): string | undefined {
  const { host } = /^(?<host>\[[0-9a-f:.]+\]|[^\s:/@[\]]+)(:\d{1,5})?$/i.exec(header)?.groups ?? {};
  return host?.toLowerCase();
}

function isLocal(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost") || isIP(host.replace(/^\[|\]$/g, "")) !== 0;
}
