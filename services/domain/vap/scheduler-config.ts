/**
 * `scheduler_config.json` of a checkpoint: the scheduler is data (design §6).
 *
 * Every key is either used or known to change nothing; a value or key that is not understood is MODEL_INVALID, because guessing would render
 * something else than the model was trained for. Absent keys have the defaults of diffusers' CogVideoX schedulers.
 */
import { FarmError } from "../errors.ts";
import type { SchedulerKind } from "../render-spec.ts";

type TimestepSpacing = "trailing" | "leading" | "linspace";

export type SchedulerConfig = {
  readonly kind: SchedulerKind;
  /** Length of the training schedule, 1000 for every released model. */
  readonly trainTimesteps: number;
  readonly betaStart: number;
  readonly betaEnd: number;
  /** Whether the last training timestep is pure noise. */
  readonly rescaleBetasZeroSnr: boolean;
  /** Whether the step beyond timestep 0 ends at ᾱ = 1, else at ᾱ of timestep 0. */
  readonly setAlphaToOne: boolean;
  readonly snrShiftScale: number;
  /** Added to each timestep of spacing `leading`. */
  readonly stepsOffset: number;
  readonly timestepSpacing: TimestepSpacing;
};

const kinds: Readonly<Record<string, SchedulerKind>> = { CogVideoXDDIMScheduler: "ddim", CogVideoXDPMScheduler: "dpm" };
const spacings: readonly TimestepSpacing[] = ["trailing", "leading", "linspace"];
/** Keys that the CogVideoX schedulers carry and never read in a step (no clipping, no thresholding). */
const unusedKeys: readonly string[] = ["clip_sample", "clip_sample_range", "sample_max_value"];

/** Checks the parsed JSON of a scheduler_config.json. */
export function parseSchedulerConfig(json: unknown): SchedulerConfig {
  if (typeof json !== "object" || json === null || Array.isArray(json)) throw refused("it is no object");
  const reader = new ConfigReader(json as Readonly<Record<string, unknown>>);
  reader.expect("beta_schedule", ["scaled_linear"], "scaled_linear");
  reader.expect("prediction_type", ["v_prediction"], "epsilon");
  reader.expect("trained_betas", [null], null);
  const config: SchedulerConfig = {
    kind: kindOf(reader.take("_class_name", undefined)),
    trainTimesteps: reader.number("num_train_timesteps", 1000),
    betaStart: reader.number("beta_start", 0.00085),
    betaEnd: reader.number("beta_end", 0.012),
    rescaleBetasZeroSnr: reader.boolean("rescale_betas_zero_snr", false),
    setAlphaToOne: reader.boolean("set_alpha_to_one", true),
    snrShiftScale: reader.number("snr_shift_scale", 3),
    stepsOffset: reader.number("steps_offset", 0),
    timestepSpacing: reader.expect("timestep_spacing", spacings, "leading"),
  };
  reader.finish();
  requireSense(config);
  return config;
}

/** Takes keys one by one, so that those left over are known to be foreign. */
class ConfigReader {
  private readonly left: Map<string, unknown>;

  constructor(json: Readonly<Record<string, unknown>>) {
    this.left = new Map(Object.entries(json));
  }

  take(key: string, fallback: unknown): unknown {
    const value = this.left.has(key) ? this.left.get(key) : fallback;
    this.left.delete(key);
    return value;
  }

  number(key: string, fallback: number): number {
    const value = this.take(key, fallback);
    if (typeof value !== "number" || !Number.isFinite(value)) throw refused(`${key} is no number`);
    return value;
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.take(key, fallback);
    if (typeof value !== "boolean") throw refused(`${key} is neither true nor false`);
    return value;
  }

  expect<Value>(key: string, supported: readonly Value[], fallback: unknown): Value {
    const value = this.take(key, fallback);
    const match = supported.find((candidate) => candidate === value);
    if (match === undefined) throw refused(`${key} ${JSON.stringify(value)} is not supported, only ${JSON.stringify(supported)}`);
    return match;
  }

  finish(): void {
    const foreign = [...this.left.keys()].filter((key) => !key.startsWith("_") && !unusedKeys.includes(key));
    if (foreign.length > 0) throw refused(`unknown keys: ${foreign.join(", ")}`);
  }
}

function kindOf(className: unknown): SchedulerKind {
  const kind = typeof className === "string" && Object.hasOwn(kinds, className) ? kinds[className] : undefined;
  if (kind === undefined)
    throw refused(`_class_name ${JSON.stringify(className)} is not supported, only ${Object.keys(kinds).join(" and ")}`);
  return kind;
}

function requireSense(config: SchedulerConfig): void {
  if (!Number.isSafeInteger(config.trainTimesteps) || config.trainTimesteps < 2) throw refused("num_train_timesteps is too small");
  if (!(config.betaStart > 0 && config.betaStart < config.betaEnd && config.betaEnd < 1))
    throw refused("beta_start and beta_end are no range in 0..1");
  if (config.snrShiftScale <= 0) throw refused("snr_shift_scale is not positive");
  if (!Number.isSafeInteger(config.stepsOffset) || config.stepsOffset < 0) throw refused("steps_offset is no count");
}

function refused(reason: string): FarmError {
  return new FarmError("MODEL_INVALID", { message: `scheduler_config.json: ${reason}` });
}
