/**
 * Prometheus' text format, version 0.0.4, read strictly: what Prometheus would refuse or silently take for something else throws here.
 */

export type Labels = Readonly<Record<string, string>>;

export type Sample = { readonly name: string; readonly labels: Labels; readonly value: number };

export type FamilyType = "counter" | "gauge" | "histogram" | "summary" | "untyped";

export type Family = { readonly name: string; readonly help: string; readonly type: FamilyType; readonly samples: readonly Sample[] };

const types: readonly string[] = ["counter", "gauge", "histogram", "summary", "untyped"];
const samplePattern = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? (\S+)$/;
const labelPattern = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(,|$)/y;
const escapes: Readonly<Record<string, string>> = { "\\\\": "\\", '\\"': '"', "\\n": "\n" };

/** Families by name, in their order. */
export function parseExposition(text: string): ReadonlyMap<string, Family> {
  if (!text.endsWith("\n")) throw new TypeError("the last line has no end");
  const families = new Map<string, MutableFamily>();
  const seen = new Set<string>();
  let current: MutableFamily | undefined;
  for (const line of text.split("\n")) {
    if (line === "") continue;
    if (line.startsWith("#")) current = withComment(line, current, families);
    else addSample(line, current, seen);
  }
  for (const family of families.values()) checkFamily(family);
  return families;
}

type MutableFamily = { readonly name: string; help: string; type: FamilyType; readonly samples: Sample[] };

function withComment(line: string, current: MutableFamily | undefined, families: Map<string, MutableFamily>): MutableFamily {
  const [, kind, name = "", rest = ""] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
  if (kind === "HELP") {
    if (families.has(name)) throw new TypeError(`${name} is described twice`);
    const family: MutableFamily = { name, help: rest, type: "untyped", samples: [] };
    families.set(name, family);
    return family;
  }
  if (kind !== "TYPE" || current?.name !== name || !types.includes(rest)) throw new TypeError(`not understood: ${line}`);
  current.type = rest as FamilyType;
  return current;
}

function addSample(line: string, family: MutableFamily | undefined, seen: Set<string>): void {
  const [, name = "", braced = "", number = ""] = samplePattern.exec(line) ?? [];
  if (name === "" || family === undefined || !belongs(name, family)) throw new TypeError(`a sample of no family: ${line}`);
  const labels = labelsOf(braced, line);
  const key = `${name} ${JSON.stringify(Object.entries(labels).sort())}`;
  if (seen.has(key)) throw new TypeError(`a series stands there twice: ${line}`);
  seen.add(key);
  family.samples.push({ name, labels, value: valueOf(number, line) });
}

function belongs(sample: string, { name, type }: MutableFamily): boolean {
  if (type === "histogram") return ["_bucket", "_sum", "_count"].some((suffix) => sample === name + suffix);
  return type === "summary" ? [name, `${name}_sum`, `${name}_count`].includes(sample) : sample === name;
}

function labelsOf(braced: string, line: string): Labels {
  if (braced === "") return {};
  const inner = braced.slice(1, -1);
  const labels: Record<string, string> = {};
  labelPattern.lastIndex = 0;
  while (labelPattern.lastIndex < inner.length) {
    const [, label, escaped] = labelPattern.exec(inner) ?? [];
    if (label === undefined || escaped === undefined || label in labels) throw new TypeError(`labels are not understood: ${line}`);
    labels[label] = escaped.replace(/\\[\\"n]/g, (escape) => escapes[escape] ?? escape);
  }
  return labels;
}

function valueOf(text: string, line: string): number {
  const named: Readonly<Record<string, number>> = { "+Inf": Infinity, "-Inf": -Infinity, Nan: Number.NaN, NaN: Number.NaN };
  const value = named[text] ?? (/^[-+0-9.eE]+$/.test(text) ? Number(text) : undefined);
  if (value === undefined || (Number.isNaN(value) && !/^nan$/i.test(text))) throw new TypeError(`no number: ${line}`);
  return value;
}

/** Counters do not go below 0; buckets only grow, and the last has all. */
function checkFamily({ name, type, samples }: Family): void {
  if (type === "counter" && samples.some(({ value }) => !(value >= 0))) throw new TypeError(`${name} counts below 0`);
  if (type !== "histogram") return;
  const of = (suffix: string): readonly Sample[] => samples.filter((sample) => sample.name === name + suffix);
  for (const { labels, value } of of("_count")) {
    const buckets = of("_bucket").filter((bucket) => Object.entries(labels).every(([label, own]) => bucket.labels[label] === own));
    const bounds = buckets.map((bucket) => valueOf(bucket.labels["le"] ?? "", name));
    const grows = buckets.every((bucket, index) => index === 0 || bucket.value >= (buckets[index - 1]?.value ?? 0));
    const rises = bounds.every((bound, index) => index === 0 || bound > (bounds[index - 1] ?? 0));
    if (!grows || !rises || bounds.at(-1) !== Infinity || buckets.at(-1)?.value !== value) {
      throw new TypeError(`the buckets of ${name} ${JSON.stringify(labels)} do not add up`);
    }
  }
}

/** What a service exports, as it stands. */
export async function scrapeText(httpAddress: string): Promise<string> {
  const response = await fetch(`http://${httpAddress}/metrics`);
  const text = await response.text();
  if (response.status !== 200) throw new TypeError(`/metrics answered ${response.status}: ${text}`);
  return text;
}

/** What a service exports. */
export async function scrape(httpAddress: string): Promise<ReadonlyMap<string, Family>> {
  return parseExposition(await scrapeText(httpAddress));
}

/** The value of the one series of a sample's name that has these labels, among others; undefined: there is none. */
export function valueIn(families: ReadonlyMap<string, Family>, name: string, labels: Labels = {}): number | undefined {
  const all = [...families.values()].flatMap(({ samples }) => samples).filter((sample) => sample.name === name);
  const found = all.filter((sample) => Object.entries(labels).every(([label, value]) => sample.labels[label] === value));
  if (found.length > 1) throw new TypeError(`${found.length} series of ${name} have ${JSON.stringify(labels)}`);
  return found[0]?.value;
}

/** Families of the farm's own, not of the process. */
export function ownFamilies(families: ReadonlyMap<string, Family>): readonly Family[] {
  return [...families.values()].filter(({ name }) => name.startsWith("vapfarm_"));
}

/** How many series the farm's own families have. */
export function seriesCount(families: ReadonlyMap<string, Family>): number {
  return ownFamilies(families).reduce((sum, { samples }) => sum + samples.length, 0);
}
