/**
 * What a page is and what it is made from.
 *
 * Links are relative to the page's own address, so the pages work below any path prefix that a proxy puts before them.
 */
import { FarmError } from "../../domain/errors.ts";
import type { FarmReader } from "./farm-reader.ts";
import type { Html } from "../../platform/html.ts";

/** Who looks at which address, and what may be read for them. */
export type Visit = {
  readonly reader: FarmReader;
  /** From this page to the pages' root: "" or "../" and so on. */
  readonly root: string;
  /** Decoded parts of the path. */
  readonly segments: readonly string[];
  readonly query: URLSearchParams;
  readonly now: Date;
};

/** How a page stays fresh while the script runs: a job's events, or a look every few seconds. */
export type Live = { readonly jobId: string; readonly afterEventNumber: bigint } | { readonly everyMs: number };

/** Everything of a page but what all pages share. */
export type Page = {
  readonly title: string;
  readonly body: Html;
  /** The entry of the navigation that it belongs to, if to one. */
  readonly section: Section | undefined;
  readonly live?: Live;
};

/** Entries of the navigation: address below the root → name. */
export const sections = { "": "Farm", jobs: "Jobs", workers: "Workers", models: "Models", usage: "Usage" } as const;

/** The address of a section below the root. */
export type Section = keyof typeof sections;

/** The link from a page to an address below the root; segments are encoded, the query too. */
export function linkTo(
  root: string,
  segments: readonly (string | number)[],
  query: Readonly<Record<string, string | readonly string[] | undefined>> = {},
): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of typeof value === "string" ? [value] : (value ?? [])) if (one !== "") parameters.append(name, one);
  }
  const path = `${root}${segments.map((segment) => encodeURIComponent(segment)).join("/")}`;
  return `${path === "" ? "./" : path}${parameters.size === 0 ? "" : `?${parameters.toString()}`}`;
}

/** A position as it stands in an address. */
export function positionOf(text: string | undefined): number {
  if (text !== undefined && /^(0|[1-9]\d{0,8})$/.test(text)) return Number(text);
  throw new FarmError("ROUTE_UNKNOWN");
}
