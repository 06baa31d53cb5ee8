/**
 * How many steps a render may ask of a scheduler, and which of them are left.
 */
import { FarmError } from "../../errors.ts";

/** Refuses a count outside 1..trainTimesteps with FIELD_INVALID. */
export function requireStepCount(trainTimesteps: number, steps: number): void {
  if (Number.isInteger(steps) && steps >= 1 && steps <= trainTimesteps) return;
  const remedy = `choose 1 to ${trainTimesteps} steps`;
  throw new FarmError("FIELD_INVALID", {
    message: `${steps} steps are out of range`,
    details: { fields: [{ field: "steps", reason: `${steps} is out of range`, remedy }] },
  });
}

/** Refuses a step after the last with STAGE_INPUT_INVALID. */
export function requireStepLeft(steps: number, index: number): void {
  if (index < steps) return;
  throw new FarmError("STAGE_INPUT_INVALID", { message: "all steps are taken" });
}
