/**
 * From flags to a planned graph without a farm: the same rules, defaults and plan as the coordinator's.
 */
import { createHash, randomBytes } from "node:crypto";
import { join } from "node:path";
import { completeRender } from "../../domain/render-request.ts";
import { refusalOf } from "../../domain/field-rules.ts";
import { type UploadFacts, violationsOf } from "../../domain/render-rules.ts";
import type { RenderSpec, RenderWarning } from "../../domain/render-spec.ts";
import type { PlannedTask } from "../../domain/planned-task.ts";
import { planRender } from "../../domain/stage-graph.ts";
import { hashFile } from "../../platform/artifacts/fetch.ts";
import type { MediaReader } from "../../platform/media/media-reader.ts";
import type { ModelManifest } from "../../platform/models/manifest.ts";
import { factsOf, plannedModelOf } from "../../platform/models/model-facts.ts";
import { findModels } from "../../platform/models/repository.ts";
import type { CliContext } from "../context.ts";
import { type RenderOptions, requestOf } from "./render-options.ts";

/** A render as tasks without a farm. */
export type LocalPlan = {
  readonly manifest: ModelManifest;
  readonly render: RenderSpec;
  readonly tasks: readonly PlannedTask[];
  readonly warnings: readonly RenderWarning[];
  /** SHA-256 → the user's own file. */
  readonly media: ReadonlyMap<string, string>;
};

/** What planning needs. */
export type Planning = { readonly reader: MediaReader; readonly profile: string; readonly runId: string };

/** Throws what the farm would answer: every violation at once. */
export async function planLocally(context: CliContext, options: RenderOptions, planning: Planning): Promise<LocalPlan> {
  const { models, faults } = await findModels(options.models ?? join(context.projectFolder, "models"));
  const [fault] = faults;
  if (fault !== undefined && !models.has(options.model)) throw fault;
  const { media, uploads, hashes } = await inspectAll(options, planning.reader, context.interrupts.signal);
  const request = requestOf(options, hashes);
  const facts = new Map([...models].map(([name, model]) => [name, factsOf(model)]));
  const violations = violationsOf(request, { models: facts, uploads, now: new Date() });
  const manifest = models.get(options.model);
  if (violations.length > 0 || manifest === undefined || request.render === undefined) throw refusalOf(violations);
  const render = completeRender(request.render, factsOf(manifest), BigInt.asUintN(63, randomBytes(8).readBigUInt64LE()));
  const tasks = planRender({
    render,
    model: plannedModelOf(manifest),
    pool: "local",
    profile: planning.profile,
    tenant: "local",
    jobId: planning.runId,
    reuse: "none",
    sha256: (bytes) => createHash("sha256").update(bytes).digest("hex"),
  });
  return { manifest, render, tasks, warnings: render.warnings ?? [], media };
}

async function inspectAll(options: RenderOptions, reader: MediaReader, signal: AbortSignal) {
  const media = new Map<string, string>();
  const uploads = new Map<string, UploadFacts>();
  const inspect = async (path: string): Promise<string> => {
    const { sha256 } = await hashFile(path, signal);
    if (!uploads.has(sha256)) uploads.set(sha256, await reader.inspect(path, signal));
    media.set(sha256, path);
    return sha256;
  };
  const image = await inspect(options.image);
  const references: string[] = [];
  for (const path of options.reference) references.push(await inspect(path));
  return { media, uploads, hashes: { image, references } };
}
