/**
 * What a worker says that a clip scores → what the store keeps of it.
 *
 * A score that is not well formed is a fault, and its report the failure of its attempt (STAGE_FAILED: another worker may do better): the task
 * may not end as a success without the value that it was made for, and nothing that is no number may stand in a number's place.
 */
import { isSha256 } from "../../domain/ids.ts";
import type { MetricScore } from "../../gen/proto/vapfarm/v1/stage.ts";
import type { ReportedScore } from "../store/store-contract.ts";

const statuses = ["ok", "nan", "skipped"] as const;
/** Of all series together: three of the longest clip that is decoded, half a megabyte. */
const mostValues = 65_000;
const mostSeries = 32;
const maxExtraCharacters = 64 * 1024;
const maxReasonCharacters = 2_000;
const namePattern = /^[A-Za-z][A-Za-z0-9_]{0,63}$/;
/** What the tables take for a word. */
const wordPattern = /^[^\p{C}]{0,200}$/u;

/** The score, or what is wrong with it. */
export type ReadScore = { readonly score: ReportedScore } | { readonly fault: string };

/** Reads a report's score. */
export function scoreFromProto(wire: MetricScore): ReadScore {
  const extra = readExtra(wire.extraJson);
  const status = statuses.find((known) => known === wire.status);
  const fault = faultOf(wire, status) ?? seriesFault(wire);
  if (fault !== undefined) return { fault };
  if (extra === undefined) return { fault: "its extra is no flat JSON object of finite numbers, texts and booleans" };
  if (status === undefined) return { fault: "its status is unknown" };
  const { metric, metricVersion, variant, modelDigest, runtime, decodeProfile, value, vbenchValue, decodeMs } = wire;
  const { frames, fpsNumerator, fpsDenominator, width, height } = wire;
  return {
    score: {
      ...{ metric, metricVersion, variant, modelDigest, runtime, decodeProfile, status, extra },
      ...{ frames, fpsNumerator, fpsDenominator, width, height },
      value: value ?? null,
      vbenchValue: vbenchValue ?? null,
      reason: wire.reason.replaceAll("\0", "").toWellFormed().slice(0, maxReasonCharacters).toWellFormed(),
      series: wire.series,
      decodeMs: Number.isFinite(decodeMs) && decodeMs > 0 ? decodeMs : 0,
    },
  };
}

function faultOf(wire: MetricScore, status: string | undefined): string | undefined {
  const { metric, metricVersion, value, vbenchValue, variant, runtime, decodeProfile, modelDigest } = wire;
  if (!namePattern.test(metric)) return "it names no metric";
  if (metricVersion < 1) return "its metric has no version";
  if (status === undefined) return `its status "${wire.status.slice(0, 40)}" is unknown`;
  if ((status === "ok") !== (value !== undefined)) return `its status is ${status} ${value === undefined ? "without" : "with"} a value`;
  if (![value, vbenchValue].every((number) => number === undefined || Number.isFinite(number))) return "its value is not finite";
  if (![variant, runtime, decodeProfile].every((word) => word.isWellFormed() && wordPattern.test(word)))
    return "one of its names is no word";
  if (modelDigest !== "" && !isSha256(modelDigest)) return "its model digest is no SHA-256";
  const sizes = [wire.frames, wire.fpsNumerator, wire.fpsDenominator, wire.width, wire.height];
  return sizes.some((size) => size < 0) ? "one of its sizes is negative" : undefined;
}

function seriesFault({ series }: MetricScore): string | undefined {
  const names = new Set(series.map(({ name }) => name));
  if (series.length > mostSeries || names.size < series.length) return "it names a series twice, or too many";
  if (!series.every(({ name }) => namePattern.test(name))) return "one of its series has no name";
  const count = series.reduce((sum, { values }) => sum + values.length, 0);
  if (count > mostValues) return `its series have ${count} values, more than ${mostValues}`;
  return series.every(({ values }) => values.every(Number.isFinite)) ? undefined : "a value of its series is not finite";
}

function readExtra(json: string): ReportedScore["extra"] | undefined {
  if (json === "") return {};
  const parsed = json.length > maxExtraCharacters ? undefined : parse(json);
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) return undefined;
  const isFlat = Object.entries(parsed).every(([name, value]) => namePattern.test(name) && isPlain(value));
  return isFlat ? (parsed as ReportedScore["extra"]) : undefined;
}

function isPlain(value: unknown): boolean {
  return typeof value === "string" || typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value));
}

/** Undefined for what is no JSON. */
function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
