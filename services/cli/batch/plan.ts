/**
 * A batch file's text → the renders that it means, or everything that is wrong with it.
 *
 * Pure: paths are only joined, files are looked at elsewhere. `defaults` stand below each render, `seeds` and `repeat` multiply it; the
 * order of the file is the order of the renders.
 */
import { isAbsolute, join } from "node:path";
import type { z } from "zod";
import { type FileFault, inOrder, type Place } from "../file-faults.ts";
import { allowedNames, type BatchContent, batchSchema, type RenderEntry } from "./schema.ts";
import { type BatchSource, readSource } from "./source.ts";

/** Where media are. */
export type MediaSource = { readonly kind: "file"; readonly path: string } | { readonly kind: "address"; readonly uri: string };

/** Media, and where in the file they are named. */
export type PlannedMedia = { readonly media: MediaSource; readonly place: Place; readonly field: string };

/** One render of the batch. */
export type PlannedRender = {
  /** Folder of its results: its name, or its number in the batch; unique. */
  readonly folder: string;
  readonly place: Place;
  readonly field: string;
  readonly entry: RenderEntry;
  readonly image: PlannedMedia;
  readonly references: readonly (PlannedMedia & { readonly prompt: string })[];
  /** Undefined: drawn by the farm. */
  readonly seed: bigint | undefined;
};

/** What a sound file means. */
export type BatchPlan = { readonly renders: readonly PlannedRender[]; readonly job: Omit<BatchContent, "renders" | "defaults"> };

/** A plan, or what is wrong. */
export type BatchReading =
  { readonly kind: "sound"; readonly plan: BatchPlan } | { readonly kind: "faulty"; readonly faults: readonly FileFault[] };

const mostRenders = 100_000;

/** Reads a file's text; relative paths are those of `folder`. */
export function planBatch(text: string, folder: string): BatchReading {
  const source = readSource(text);
  if (source.faults.length > 0) return { kind: "faulty", faults: source.faults };
  const parsed = batchSchema.safeParse(source.value);
  if (!parsed.success) return { kind: "faulty", faults: inOrder(parsed.error.issues.flatMap((issue) => faultsOf(issue, source))) };
  const { defaults = {}, renders, ...job } = parsed.data;
  const entries = renders.map((render, index) => ({ entry: mergeEntry(defaults, render), index }));
  const faults = [...entries.flatMap((each) => missingOf(each, source)), ...twiceNamed(renders, source)];
  if (faults.length > 0) return { kind: "faulty", faults: inOrder(faults) };
  const planned = entries.flatMap(({ entry, index }) => expand({ entry, index, source, folder }));
  if (planned.length > mostRenders) return { kind: "faulty", faults: [tooMany(planned.length, source)] };
  return { kind: "sound", plan: { renders: withFolders(planned), job: withSecretPath(job, folder) } };
}

function withSecretPath(job: BatchPlan["job"], folder: string): BatchPlan["job"] {
  const path = job.webhook?.secret_file;
  if (job.webhook === undefined || path === undefined) return job;
  return { ...job, webhook: { ...job.webhook, secret_file: isAbsolute(path) ? path : join(folder, path) } };
}

/** A render's own seed, seeds or repeat each replace all three of the defaults. */
function mergeEntry(defaults: RenderEntry, own: RenderEntry): RenderEntry {
  const { seed, seeds, repeat, ...rest } = defaults;
  const isOwn = own.seed !== undefined || own.seeds !== undefined;
  const multiplied = isOwn ? {} : { seed, seeds: own.repeat === undefined ? seeds : undefined };
  const wanted = Object.entries({ ...multiplied, repeat: isOwn ? undefined : repeat });
  const kept = Object.fromEntries(wanted.filter(([, value]) => value !== undefined));
  return { ...rest, ...kept, ...own };
}

function faultsOf(issue: z.core.$ZodIssue, source: BatchSource): readonly FileFault[] {
  const { path } = issue;
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({
      ...source.placeOfKey(path, key),
      field: fieldOf([...path, key]),
      reason: `there is no field "${key}"`,
      expected: `one of ${allowedNames(path).join(", ")}`,
    }));
  }
  return [{ ...source.placeOf(path), field: fieldOf(path), reason: reasonAt(source.value, path), expected: issue.message }];
}

function reasonAt(value: unknown, path: readonly PropertyKey[]): string {
  let found: unknown = value;
  for (const key of path) found = typeof found === "object" && found !== null ? (found as Record<PropertyKey, unknown>)[key] : undefined;
  if (found === undefined || found === null) return "is missing";
  if (Array.isArray(found)) return found.length === 0 ? "is an empty list" : `is a list of ${found.length}`;
  if (typeof found === "object") return "is a mapping";
  const text = typeof found === "string" ? found : typeof found === "bigint" ? found.toString() : JSON.stringify(found);
  return typeof found === "string" ? `is "${text.length > 60 ? `${text.slice(0, 57)}...` : text}"` : `is ${text}`;
}

/** `renders[2].references[0].media`. */
function fieldOf(path: readonly PropertyKey[]): string {
  return path.map((part, index) => (typeof part === "number" ? `[${part}]` : `${index === 0 ? "" : "."}${String(part)}`)).join("");
}

type Entry = { readonly entry: RenderEntry; readonly index: number };

const required = {
  model: "the model's name",
  image: "an image's path or address",
  prompt: "what the video shows",
  references: "at least one reference",
};

function missingOf({ entry, index }: Entry, source: BatchSource): readonly FileFault[] {
  const path = ["renders", index];
  const place = source.placeOf(path);
  const absent = Object.entries(required).filter(([name]) => entry[name as keyof typeof required] === undefined);
  const faults = absent.map(([name, expected]) => ({
    ...place,
    field: fieldOf([...path, name]),
    reason: "is missing",
    expected: `${expected}, here or in \`defaults\``,
  }));
  if (entry.seeds === undefined || (entry.seed === undefined && entry.repeat === undefined)) return faults;
  const clash = { ...place, field: fieldOf([...path, "seeds"]), reason: "stands beside `seed` or `repeat`", expected: "one of them" };
  return [...faults, clash];
}

function twiceNamed(renders: readonly RenderEntry[], source: BatchSource): readonly FileFault[] {
  const seen = new Map<string, number>();
  return renders.flatMap(({ name }, index) => {
    if (name === undefined) return [];
    const before = seen.get(name);
    seen.set(name, before ?? index);
    if (before === undefined) return [];
    const path = ["renders", index, "name"];
    const reason = `"${name}" is renders[${before}]'s name too`;
    return [{ ...source.placeOf(path), field: fieldOf(path), reason, expected: "a name of its own" }];
  });
}

function tooMany(count: number, source: BatchSource): FileFault {
  const reason = `the file means ${count} renders`;
  return { ...source.placeOf(["renders"]), field: "renders", reason, expected: `at most ${mostRenders}` };
}

/** Where a render's value stands: with the render itself, or in the defaults. */
function ownerOf(source: BatchSource, { index, name }: { readonly index: number; readonly name: PropertyKey }): readonly PropertyKey[] {
  const { renders } = source.value as { readonly renders: readonly object[] };
  return Object.hasOwn(renders[index] ?? {}, name) ? ["renders", index] : ["defaults"];
}

type Expanding = Entry & { readonly source: BatchSource; readonly folder: string };
type Unplaced = Omit<PlannedRender, "folder"> & { readonly name: string | undefined };

function expand({ entry, index, source, folder }: Expanding): readonly Unplaced[] {
  const path = ["renders", index];
  const placed = (inner: readonly PropertyKey[], given: string): PlannedMedia => {
    const whole = [...ownerOf(source, { index, name: inner[0] ?? "" }), ...inner];
    return { media: mediaOf(given, folder), place: source.placeOf(whole), field: fieldOf(whole) };
  };
  const references = (entry.references ?? []).map(({ media, prompt }, at) => ({ ...placed(["references", at, "media"], media), prompt }));
  const common = { entry, image: placed(["image"], entry.image ?? ""), references, place: source.placeOf(path), field: fieldOf(path) };
  const seeds = seedsOf(entry);
  return seeds.map((seed, copy) => ({
    ...common,
    seed,
    name: entry.name === undefined || seeds.length === 1 ? entry.name : `${entry.name}-${copy}`,
  }));
}

/** With `repeat` and a seed, the seeds that follow it; without one, the farm draws each. */
function seedsOf({ seed, seeds, repeat = 1 }: RenderEntry): readonly (bigint | undefined)[] {
  if (seeds !== undefined) return seeds;
  return Array.from({ length: repeat }, (_, copy) => (seed === undefined ? undefined : BigInt.asUintN(63, seed + BigInt(copy))));
}

function mediaOf(given: string, folder: string): MediaSource {
  if (/^(https|s3):\/\//i.test(given)) return { kind: "address", uri: given };
  return { kind: "file", path: isAbsolute(given) ? given : join(folder, given) };
}

/** Names where there are any, else numbers wide enough to sort; a name that stands for another render's folder gets its number too. */
function withFolders(renders: readonly Unplaced[]): readonly PlannedRender[] {
  const digits = String(renders.length - 1).length;
  const taken = new Set<string>();
  return renders.map(({ name, ...render }, position) => {
    const number = String(position).padStart(digits, "0");
    const wanted = name ?? number;
    const folder = taken.has(wanted) ? `${wanted}.${number}` : wanted;
    taken.add(folder);
    return { ...render, folder };
  });
}
