/**
 * The model repository: every manifest sound, every file there with its size, and with `--deep` its hash.
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { toFarmError } from "../../../domain/errors.ts";
import { hashFile } from "../../../platform/artifacts/fetch.ts";
import { findModels, type HeldManifest } from "../../../platform/models/repository.ts";
import { type Check, fail, ok, type Verdict, warn } from "../verdict.ts";

/** What the model repository holds. */
export type ModelFindings = {
  readonly folder: string;
  readonly isDeep: boolean;
  readonly models:
    | readonly { readonly name: string; readonly weights: string; readonly files: number; readonly faults: readonly string[] }[]
    | { readonly reason: string };
  /** Why folders hold no model that can be served. */
  readonly damaged?: readonly string[];
};

/** Pure. */
export function judgeModels({ folder, isDeep, models, damaged = [] }: ModelFindings): readonly Verdict[] {
  const remedy = "export the model again (exporter/README.md), or name another repository with --models or VAPFARM_MODELS";
  if ("reason" in models) return [fail("models", models.reason, remedy)];
  const unsound = damaged.map((reason) => fail("models", reason, remedy));
  if (models.length === 0 && unsound.length === 0) return [warn("models", `${folder} holds no model`, remedy)];
  const sound = models.map(({ name, weights, files, faults }) => {
    const checked = isDeep ? "sizes and hashes are right" : "sizes are right (--deep hashes them)";
    if (faults.length === 0)
      return ok(`model ${name}`, `${files} files, ${checked}${weights === "random" ? "; its weights are random" : ""}`);
    return fail(`model ${name}`, faults.slice(0, 3).join("; "), remedy);
  });
  return [...sound, ...unsound];
}

/** Reads the models, their files' hashes too when deep. */
export const modelsCheck: Check = {
  name: "models",
  async run({ modelsFolder: folder, isDeep }) {
    try {
      const { models, metrics, faults } = await findModels(folder);
      const looked = await Promise.all([...models.values(), ...metrics.values()].map((model) => look(model, isDeep)));
      return judgeModels({ folder, isDeep, models: looked, damaged: faults.map(({ message }) => message) });
    } catch (thrown) {
      return judgeModels({ folder, isDeep, models: { reason: toFarmError(thrown).message } });
    }
  },
};

async function look(model: HeldManifest, isDeep: boolean) {
  const files = Object.values(model.engines).flatMap((engine) => engine.files);
  const faults: string[] = [];
  for (const { path, bytes, sha256 } of files) {
    const whole = join(model.folder, path);
    const found = await stat(whole).catch(() => undefined);
    if (found === undefined) faults.push(`${whole} is missing`);
    else if (found.size !== bytes) faults.push(`${whole} has ${found.size} bytes, expected ${bytes}`);
    else if (isDeep && (await hashFile(whole)).sha256 !== sha256) faults.push(`${whole} does not have its hash`);
  }
  return { name: model.name, weights: model.weights, files: files.length, faults };
}
