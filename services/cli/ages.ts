/**
 * Times and lengths of time for people: "3m ago" on a terminal, where someone reads now; ISO where it may be read later.
 */
import { FarmError } from "../domain/errors.ts";

const secondMs = 1_000;
const minuteMs = 60 * secondMs;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

/** Milliseconds in one unit, two below ten minutes, ten hours and ten days: "42s", "3m12s", "5h", "2d3h". */
export function spanText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / secondMs));
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.trunc(seconds / 60);
  if (minutes < 60) return twoUnits([minutes, "m"], [seconds % 60, "s"]);
  const hours = Math.trunc(minutes / 60);
  if (hours < 24) return twoUnits([hours, "h"], [minutes % 60, "m"]);
  return twoUnits([Math.trunc(hours / 24), "d"], [hours % 24, "h"]);
}

function twoUnits([large, largeUnit]: readonly [number, string], [small, smallUnit]: readonly [number, string]): string {
  return large >= 10 || small === 0 ? `${large}${largeUnit}` : `${large}${largeUnit}${small}${smallUnit}`;
}

/** How long ago, or how long until; empty for no time. */
export function ageText(time: Date | undefined, now: Date): string {
  if (time === undefined) return "";
  const ms = now.getTime() - time.getTime();
  return ms >= 0 ? `${spanText(ms)} ago` : `in ${spanText(-ms)}`;
}

/** How times are written in one output. */
export type TimeText = (time: Date | undefined) => string;

/** Ages on a terminal, ISO elsewhere. */
export function timeTexts(isTerminal: boolean, now: Date): TimeText {
  return isTerminal ? (time) => ageText(time, now) : (time) => time?.toISOString() ?? "";
}

const units: Readonly<Record<string, number>> = { ms: 1, s: secondMs, m: minuteMs, h: hourMs, d: dayMs, w: 7 * dayMs };

/** "90s", "5m", "1h30m", "7d" in milliseconds; FIELD_INVALID naming the option for anything else. */
export function parseSpan(option: string, text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d|w)/g)];
  const isWhole = parts.length > 0 && parts.map(([part]) => part).join("") === text;
  if (isWhole) return parts.reduce((sum, [, count, unit]) => sum + Number(count) * (units[unit ?? ""] ?? 0), 0);
  throw invalidOption(option, `"${text}" is no length of time`, "give one such as 90s, 5m, 1h30m or 7d");
}

/** A length of time before now, or a time as ISO 8601; FIELD_INVALID naming the option for anything else. */
export function parseTime(option: string, text: string, { now, sign }: { readonly now: Date; readonly sign: -1 | 1 }): Date {
  if (/^\d{4}-\d{2}-\d{2}/.test(text)) {
    const time = new Date(text);
    if (!Number.isNaN(time.getTime())) return time;
  }
  if (!/^(\d+(?:\.\d+)?(ms|s|m|h|d|w))+$/.test(text)) {
    throw invalidOption(option, `"${text}" is no time`, "give one such as 2026-01-31T18:00:00Z, or a length of time from now such as 2h");
  }
  const time = now.getTime() + sign * parseSpan(option, text);
  if (time >= 0 && time <= latestTime) return new Date(time);
  throw invalidOption(option, `"${text}" leads out of the calendar`, "give a time before the year 10000, and not before 1970");
}

/** The last moment that protobuf's timestamps and ISO 8601 have. */
const latestTime = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/** FIELD_INVALID of an option. */
export function invalidOption(option: string, reason: string, remedy: string): FarmError {
  return new FarmError("FIELD_INVALID", { message: `${option}: ${reason}`, details: { fields: [{ field: option, reason, remedy }] } });
}
