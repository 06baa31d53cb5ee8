/**
 * Which method of the service a path and an HTTP method mean.
 *
 * Of two templates that match, the one with more literals wins; HEAD is served as GET.
 */
import { FarmError } from "../../domain/errors.ts";
import { matchTemplate, type PathTemplate, splitPath } from "../../platform/protojson/path-template.ts";

/** Something that is served under a template. */
export type Served = { readonly verb: string; readonly template: PathTemplate };

/** What was found, and what the path gives. */
export type Found<T> = { readonly served: T; readonly path: ReadonlyMap<string, string> };

/** The method that serves a path; throws ROUTE_UNKNOWN, or METHOD_NOT_ALLOWED with `allow` among its details. */
export function findServed<T extends Served>(all: readonly T[], verb: string, pathname: string): Found<T> {
  const sent = splitPath(pathname);
  const matching = all.flatMap((served) => {
    const path = matchTemplate(served.template, sent);
    return path === undefined ? [] : [{ served, path }];
  });
  if (matching.length === 0) throw new FarmError("ROUTE_UNKNOWN");
  const wanted = verb === "HEAD" ? "GET" : verb;
  const [best] = matching.filter(({ served }) => served.verb === wanted).sort((one, other) => one.path.size - other.path.size);
  if (best !== undefined) return best;
  throw new FarmError("METHOD_NOT_ALLOWED", { details: { allow: allowOf(matching.map(({ served }) => served.verb)) } });
}

function allowOf(verbs: readonly string[]): string {
  const all = new Set(verbs.flatMap((verb) => (verb === "GET" ? ["GET", "HEAD"] : [verb])));
  return [...all].sort().join(", ");
}
