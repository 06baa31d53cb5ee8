/**
 * `scheduler_config.json` of a flow-matching checkpoint, of class UniPCMultistepScheduler or FlowMatchEulerDiscreteScheduler.
 *
 * Every key is either used or known to change nothing for flow prediction; absent keys have diffusers' defaults. Refused beside what is not
 * understood: "bh1", and an order above 1 up to the last step, because with σ = 0 at the end the reference's own latents are then not finite.
 */
import { FarmError } from "../../errors.ts";
import type { RenderWarning, SchedulerKind } from "../../render-spec.ts";
import { ConfigReader, configRefused } from "./config-reader.ts";
import { createFlowEuler } from "./flow-euler.ts";
import { type FlowSchedule, referenceFails, unipcTable } from "./flow-sigmas.ts";
import type { Scheduler, SchedulerFamily } from "./scheduler.ts";
import { createUniPc, defaultSolver } from "./unipc.ts";
import type { UniPcSolver } from "./unipc.ts";

type FlowConfig = { readonly kind: "unipc" | "euler"; readonly schedule: FlowSchedule; readonly solver: UniPcSolver };

/** Read only for noise schedules of β, for thresholding, or to spread timesteps that flow sigmas replace. */
const unusedByUniPc: readonly string[] = [
  ...["beta_start", "beta_end", "beta_schedule", "trained_betas", "rescale_betas_zero_snr", "timestep_spacing", "steps_offset"],
  ...["dynamic_thresholding_ratio", "sample_max_value", "time_shift_type"],
];
/** Read only for shifts that depend on the picture's size. */
const unusedByEuler: readonly string[] = ["base_shift", "max_shift", "base_image_seq_len", "max_image_seq_len", "time_shift_type"];

const classNames = ["UniPCMultistepScheduler", "FlowMatchEulerDiscreteScheduler"] as const;

/** Checks the parsed JSON; a render may choose either kind on the config's shift. */
export function parseFlowFamily(json: unknown): SchedulerFamily {
  const { kind, schedule, solver } = parse(ConfigReader.open(json));
  const makers: Readonly<Partial<Record<SchedulerKind, (steps: number) => Scheduler>>> = {
    unipc: (steps) => createUniPc(schedule, solver, steps),
    euler: (steps) => createFlowEuler(schedule, steps),
  };
  return {
    kind,
    kinds: ["unipc", "euler"],
    trainTimesteps: schedule.trainTimesteps,
    create: (chosen, steps) => (makers[chosen] ?? foreignKind(chosen))(steps),
    cautions: (chosen, steps) => (chosen === "unipc" ? cautionsOf(schedule, steps) : []),
  };
}

function foreignKind(kind: SchedulerKind): never {
  const reason = `${kind} is of another family than the model's schedule`;
  throw new FarmError("FIELD_INVALID", {
    message: reason,
    details: { fields: [{ field: "scheduler", reason, remedy: "choose unipc or euler" }] },
  });
}

function cautionsOf(schedule: FlowSchedule, steps: number): readonly RenderWarning[] {
  if (!referenceFails(unipcTable(schedule, steps).timesteps)) return [];
  const message =
    `with ${steps} steps the first two timesteps are the same whole number, and the reference fails at its last step; ` +
    `this farm goes on by the steps' order, so there is nothing to compare the result with; choose fewer steps`;
  return [{ code: "STEPS_BEYOND_REFERENCE", message }];
}

function parse(reader: ConfigReader): FlowConfig {
  const className = reader.expect("_class_name", classNames, undefined);
  const config = className === "UniPCMultistepScheduler" ? parseUniPc(reader) : parseEuler(reader);
  const { trainTimesteps, shift } = config.schedule;
  if (!Number.isSafeInteger(trainTimesteps) || trainTimesteps < 2)
    throw configRefused(`num_train_timesteps ${trainTimesteps} is too small or no count`);
  if (shift <= 0) throw configRefused(`${className === "UniPCMultistepScheduler" ? "flow_shift" : "shift"} ${shift} is not positive`);
  return config;
}

function parseUniPc(reader: ConfigReader): FlowConfig {
  reader.expect("prediction_type", ["flow_prediction"], "epsilon");
  reader.expect("use_flow_sigmas", [true], false);
  reader.expect("predict_x0", [true], true);
  reader.expect("solver_type", ["bh2"], "bh2");
  reader.expect("final_sigmas_type", ["zero"], "zero");
  reader.expect("solver_p", [null], null);
  for (const key of ["shift_terminal", "sigma_min", "sigma_max"]) reader.expect(key, [null], null);
  for (const key of ["thresholding", "use_dynamic_shifting"]) refuseSwitch(reader, key);
  refuseOtherSpreads(reader);
  const order = reader.expect<UniPcSolver["order"]>("solver_order", [1, 2, 3], defaultSolver.order);
  reader.expect("lower_order_final", order === 1 ? [true, false] : [true], true);
  const uncorrected = reader.counts("disable_corrector", defaultSolver.uncorrected);
  const schedule = { trainTimesteps: reader.number("num_train_timesteps", 1000), shift: reader.number("flow_shift", 1) };
  reader.finish(unusedByUniPc);
  return { kind: "unipc", schedule, solver: { order, uncorrected } };
}

function parseEuler(reader: ConfigReader): FlowConfig {
  for (const key of ["use_dynamic_shifting", "invert_sigmas", "stochastic_sampling"]) refuseSwitch(reader, key);
  reader.expect("shift_terminal", [null], null);
  refuseOtherSpreads(reader);
  const schedule = { trainTimesteps: reader.number("num_train_timesteps", 1000), shift: reader.number("shift", 1) };
  reader.finish(unusedByEuler);
  return { kind: "euler", schedule, solver: defaultSolver };
}

function refuseOtherSpreads(reader: ConfigReader): void {
  for (const key of ["use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"]) refuseSwitch(reader, key);
}

/** A switch that must be off; null is what diffusers saves for one that nobody set. */
function refuseSwitch(reader: ConfigReader, key: string): void {
  reader.expect(key, [false, null], false);
}
