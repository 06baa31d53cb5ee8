/**
 * Path templates of google.api.http, as far as the farm uses them: literals, `{field}` for one segment, a `:verb` at the end.
 *
 * Pure. A path is matched as it was sent, then each segment is decoded: an encoded slash or colon belongs to a value and never separates.
 * Values are never empty; bad percent-encoding or UTF-8 is malformed, whatever the template.
 */
import { FarmError } from "../../domain/errors.ts";

type Segment = { readonly literal: string } | { readonly parameter: string };

/** A template, parsed. */
export type PathTemplate = {
  /** As it was written. */
  readonly text: string;
  readonly segments: readonly Segment[];
  readonly verb: string | undefined;
  /** Field names, in order. */
  readonly parameters: readonly string[];
};

/** Parses a template; throws when it has a form that is not served. */
export function parseTemplate(text: string): PathTemplate {
  const [path = "", verb, ...more] = text.split(":");
  const segments = path.slice(1).split("/").map(segmentOf);
  if (!path.startsWith("/") || more.length > 0 || segments.includes(undefined)) {
    throw new FarmError("INTERNAL", { message: `a path template of this form is not served: ${text}` });
  }
  const known = segments.filter((segment) => segment !== undefined);
  return { text, segments: known, verb, parameters: known.flatMap((segment) => ("parameter" in segment ? [segment.parameter] : [])) };
}

function segmentOf(text: string): Segment | undefined {
  const parameter = /^\{([a-z][a-z0-9_]*)\}$/.exec(text)?.[1];
  if (parameter !== undefined) return { parameter };
  return /^[a-z0-9_.-]+$/.test(text) ? { literal: text } : undefined;
}

/** A path as it was sent, split where templates split. */
export type SentPath = { readonly segments: readonly string[]; readonly verb: string | undefined };

/** Splits a path that begins with a slash. */
export function splitPath(path: string): SentPath {
  const slash = path.lastIndexOf("/");
  const colon = path.indexOf(":", slash);
  const end = colon === -1 ? path.length : colon;
  return { segments: path.slice(1, end).split("/"), verb: colon === -1 ? undefined : path.slice(colon + 1) };
}

/** The fields that a path gives under a template; undefined when it does not match. */
export function matchTemplate(template: PathTemplate, path: SentPath): ReadonlyMap<string, string> | undefined {
  if (path.verb !== template.verb || path.segments.length !== template.segments.length) return undefined;
  const values = new Map<string, string>();
  for (const [index, segment] of template.segments.entries()) {
    const sent = path.segments[index] ?? "";
    if ("literal" in segment) {
      if (sent !== segment.literal) return undefined;
    } else if (sent === "") return undefined;
    else values.set(segment.parameter, sent);
  }
  return new Map([...values].map(([name, value]) => [name, decodeComponent(value)]));
}

/** Percent-decoding that refuses what is no UTF-8. */
export function decodeComponent(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new FarmError("REQUEST_MALFORMED", { message: `the address is not percent-encoded UTF-8: ${text.slice(0, 100)}`, cause });
  }
}
