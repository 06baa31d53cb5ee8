/**
 * A demo model with another manifest: a folder of its own, engines linked, digests computed anew.
 */
import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { engineDigests } from "../../services/platform/models/engine-digest.ts";

/** farm.json as JSON, with what the tests change. */
export type ManifestFile = Record<string, unknown> & {
  readonly engines: Record<string, Record<string, unknown> & { readonly constants: Record<string, unknown> }>;
};

export type ChangedModel = { readonly folder: string; readonly text: string; remove(): Promise<void> };

/** Writes the model as `change` leaves its manifest; an engine's digest is that of its new constants. */
export async function changedModel(original: string, change: (manifest: ManifestFile) => void): Promise<ChangedModel> {
  const folder = await mkdtemp(join(tmpdir(), "vapfarm-model-"));
  const manifest = JSON.parse(await readFile(join(original, "farm.json"), "utf8")) as ManifestFile;
  change(manifest);
  for (const [name, digest] of engineDigests(JSON.stringify(manifest))) {
    const engine = manifest.engines[name];
    if (engine !== undefined) engine["digest"] = digest;
  }
  const text = JSON.stringify(manifest);
  for (const name of [...Object.keys(manifest.engines), "tokenizer.json"]) await symlink(join(original, name), join(folder, name));
  await writeFile(join(folder, "farm.json"), text);
  return { folder, text, remove: () => rm(folder, { recursive: true }) };
}
