/**
 * Quantities, times and texts as operators read them; enums are in `platform/words.ts`. Pure: the time now is an argument.
 */
import { type Html, html } from "../../platform/html.ts";

type EnumTable = Readonly<Record<string, number>>;

/** The values that a word can name, without unspecified and unrecognized. */
export function valuesOf<T extends EnumTable>(table: T): readonly Exclude<T[keyof T], 0 | -1>[] {
  return Object.values(table).filter((value): value is Exclude<T[keyof T], 0 | -1> => value > 0);
}

/** "850 ms", "3.2 s", "4 min 10 s", "2 h 5 min", "3 d 4 h". */
export function duration(ms: number): string {
  if (!Number.isFinite(ms) || ms < 0) return "–";
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 9_950) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return pair(seconds, { size: 60, names: ["min", "s"] });
  if (seconds < 86_400) return pair(Math.round(seconds / 60), { size: 60, names: ["h", "min"] });
  return pair(Math.round(seconds / 3_600), { size: 24, names: ["d", "h"] });
}

function pair(total: number, { size, names }: { readonly size: number; readonly names: readonly [string, string] }): string {
  const rest = total % size;
  return `${Math.floor(total / size)} ${names[0]}${rest === 0 ? "" : ` ${rest} ${names[1]}`}`;
}

const byteUnits = ["bytes", "KiB", "MiB", "GiB", "TiB"] as const;

/** "512 bytes", "1.5 MiB". */
export function byteSize(bytes: bigint | number): string {
  let value = Number(bytes);
  let unit = 0;
  while (value >= 1024 && unit < byteUnits.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${byteUnits[unit] ?? ""}`;
}

/** "2026-01-31 12:00:00", UTC. */
export function utc(time: Date): string {
  return Number.isNaN(time.getTime()) ? "–" : time.toISOString().slice(0, 19).replace("T", " ");
}

/** A time as an element: UTC, which the script may show in the visitor's zone. */
export function timeOf(time: Date | undefined): Html {
  if (time === undefined || Number.isNaN(time.getTime())) return html`<span class="none">–</span>`;
  return html`<time datetime="${time.toISOString()}">${utc(time)}</time>`;
}

/** The largest unit of a duration, for ages: "6 min". */
function about(ms: number): string {
  return duration(ms).split(" ").slice(0, 2).join(" ");
}

/** About how long ago, with the time itself on hover; what lies ahead is "in …". */
export function ageOf(time: Date | undefined, now: Date): Html {
  if (time === undefined || Number.isNaN(time.getTime())) return html`<span class="none">–</span>`;
  const ms = now.getTime() - time.getTime();
  const words = ms < -1_000 ? `in ${about(-ms)}` : ms < 1_000 ? "just now" : `${about(ms)} ago`;
  return html`<time datetime="${time.toISOString()}" title="${utc(time)} UTC">${words}</time>`;
}

/** The first characters of a text on one line, for tables. */
export function excerpt(text: string, maxCharacters: number): string {
  const line = text.replace(/\s+/g, " ").trim();
  const characters = Array.from(line.slice(0, maxCharacters * 2 + 2));
  return characters.length > maxCharacters ? `${characters.slice(0, maxCharacters - 1).join("")}…` : line;
}

/** "1 render", "2 renders". */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
