/**
 * Models to push: the demo model, and versions of it that differ in what a plan is made from.
 */
import { join } from "node:path";
import { changedModel, type ChangedModel } from "./changed-model.ts";

/** The demo model's folder. */
export const demoFolder = join(import.meta.dirname, "../../models/demo");

/** The demo model with at most so many references: other engines, another version. */
export function demoWithReferences(most: number): Promise<ChangedModel> {
  return changedModel(demoFolder, (manifest) => {
    manifest["max_references"] = most;
    const constants = manifest.engines["denoise"]?.constants;
    if (constants !== undefined) constants["max_references"] = most;
  });
}
