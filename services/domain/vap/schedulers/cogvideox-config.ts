/**
 * `scheduler_config.json` of a checkpoint: the scheduler is data (design §6).
 *
 * Every key is either used or known to change nothing; a value or key that is not understood is MODEL_INVALID, because guessing would render
 * something else than the model was trained for. Absent keys have the defaults of diffusers' CogVideoX schedulers.
 */
import type { SchedulerKind } from "../../render-spec.ts";
import { ConfigReader, configRefused } from "./config-reader.ts";

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
  const reader = ConfigReader.open(json);
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
  reader.finish(unusedKeys);
  requireSense(config);
  return config;
}

function kindOf(className: unknown): SchedulerKind {
  const kind = typeof className === "string" && Object.hasOwn(kinds, className) ? kinds[className] : undefined;
  if (kind === undefined)
    throw configRefused(`_class_name ${JSON.stringify(className)} is not supported, only ${Object.keys(kinds).join(" and ")}`);
  return kind;
}

function requireSense(config: SchedulerConfig): void {
  if (!Number.isSafeInteger(config.trainTimesteps) || config.trainTimesteps < 2) throw configRefused("num_train_timesteps is too small");
  if (!(config.betaStart > 0 && config.betaStart < config.betaEnd && config.betaEnd < 1))
    throw configRefused("beta_start and beta_end are no range in 0..1");
  if (config.snrShiftScale <= 0) throw configRefused("snr_shift_scale is not positive");
  if (!Number.isSafeInteger(config.stepsOffset) || config.stepsOffset < 0) throw configRefused("steps_offset is no count");
}
