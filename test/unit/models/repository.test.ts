import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { engineOf, parseManifest } from "../../../services/platform/models/manifest.ts";
import { createEngineVerifier, findModels, openModel } from "../../../services/platform/models/repository.ts";
import { changedModel, type ManifestFile } from "../../support/changed-model.ts";
import { flowEulerConfig } from "../../support/flow-scheduler-config.ts";
import { instructionSet, runtimeProfile } from "../../../services/platform/profile.ts";

const demo = fileURLToPath(new URL("../../../models/demo", import.meta.url));
const wan = fileURLToPath(new URL("../../../models/demo-wan", import.meta.url));
const invalid = (text: string): Error =>
  expect.objectContaining({ code: "MODEL_INVALID", message: expect.stringContaining(text) as string }) as Error;

/** In both places, so that only its own sense is judged. */
function changeClip(manifest: ManifestFile, change: Readonly<Record<string, number>>): void {
  const clip = { ...(manifest["clip"] as Record<string, unknown>), ...change };
  manifest["clip"] = clip;
  const { clip_encode: engine } = manifest.engines;
  if (engine !== undefined) engine.constants["clip"] = clip;
}

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-models-"));
  await cp(demo, join(folder, "copy"), { recursive: true });
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

describe("a model", () => {
  it("opens with sizes, scheduler and engines, and its files have their hashes", async () => {
    const model = await openModel(demo);
    expect(model).toMatchObject({ name: "demo", weights: "random", height: 48, width: 64, frames: 17, maxReferences: 3 });
    for (const engine of Object.values(model.engines)) await createEngineVerifier().verify(model, engine);
  });

  it.each([
    ["a changed constant", (text: string) => text.replace('"max_tokens": 226,\n        "pad_id"', '"max_tokens": 225,\n        "pad_id"'), "digest"],
    ["an earlier format", (text: string) => text.replace('"format": 2', '"format": 1'), "export the model again"],
    ["a variant that nobody knows", (text: string) => text.replace('"variant": "cogvideox"', '"variant": "sora"'), "variant"],
    ["a size that latents do not fit", (text: string) => text.replace('"width": 64', '"width": 72'), "an eighth"],
    ["frames that are not 4k + 1", (text: string) => text.replace('"frames": 17', '"frames": 18'), "18 frames"],
    ["more references than the variant takes", (text: string) => text.replace('"max_references": 3,\n  "latent"', '"max_references": 4,\n  "latent"'), "4 references"],
    ["a path out of its folder", (text: string) => text.replace('"tokenizer": "tokenizer.json"', '"tokenizer": "../x.json"'), "inside"],
    ["an engine under another name", (text: string) => text.replace('"vae_decode": {', '"vae_other": {'), "vae_decode is missing"],
    ["a scheduler that nobody knows", (text: string) => text.replace('"CogVideoXDDIMScheduler"', '"EulerScheduler"'), "EulerScheduler"],
    ["a name that is a path", (text: string) => text.replace('"name": "demo"', '"name": "../demo"'), "100 letters"],
    ["a version with a space", (text: string) => text.replace('"version": "1"', '"version": "1 b"'), "100 letters"],
    ["more frames in a second than a video has", (text: string) => text.replace('"fps": 16', '"fps": 241'), "240"],
    ["a negative prompt that no row can hold", (text: string) => text.replace('"Bright tones', '"\\u0000Bright tones'), "NUL"],
    ["an engine of another stage", (text: string) => text.replace('"stage": "denoise"', '"stage": "vae_decode"'), "is one of stage denoise"],
    [
      "an engine for another size",
      (text: string) => text.replace(/("name": "frames",\s*"dtype": "float32",\s*"shape": \[\s*1,\s*3,\s*)17/, (_all, head: string) => `${head}13`),
      "vae_decode has frames of [1,3,13,48,64], not [1,3,17,48,64]",
    ],
    ["an engine without its input", (text: string) => text.replace('"name": "input_ids"', '"name": "ids"'), "no input_ids among its inputs"],
    ["broken JSON", (text: string) => text.slice(0, 100), "no JSON"],
  ])("is refused for %s", async (_what, change, reason) => {
    const text = await readFile(join(demo, "farm.json"), "utf8");
    expect(change(text)).not.toBe(text);
    expect(() => parseManifest(change(text), demo)).toThrow(invalid(reason));
  });

  it.each<readonly [string, { readonly of: string; readonly reason: string }, (manifest: ManifestFile) => void]>([
    [
      "another cleaning",
      { of: wan, reason: "cleaning is not what engine text_encode" },
      (manifest) => ((manifest["text"] as Record<string, unknown>)["cleaning"] = "none"),
    ],
    [
      "another mean",
      { of: wan, reason: "clip is not what engine clip_encode" },
      (manifest) => ((manifest["clip"] as Record<string, unknown>)["mean"] = [0, 0, 0]),
    ],
    [
      "another shift",
      { of: wan, reason: "scheduler is not what engine denoise" },
      (manifest) => ((manifest["scheduler"] as Record<string, unknown>)["flow_shift"] = 5),
    ],
    [
      "another scale",
      { of: demo, reason: "scaling_factor is not what engine" },
      (manifest) => ((manifest["vae"] as Record<string, unknown>)["scaling_factor"] = 1),
    ],
    ["fewer references", { of: demo, reason: "max_references is not what engine denoise" }, (manifest) => (manifest["max_references"] = 2)],
    ["a crop beyond the edge", { of: wan, reason: "shortest edge" }, (manifest) => changeClip(manifest, { shortest_edge: 100 })],
  ])("is refused for %s than its engines were exported with, whose digests do not show it", async (_what, { of: original, reason }, change) => {
    const changed = await changedModel(original, change);
    expect(() => parseManifest(changed.text, changed.folder)).toThrow(invalid(reason));
    await changed.remove();
  });

  it("has the scheduler that its checkpoint names", async () => {
    const changed = await changedModel(wan, (manifest) => {
      manifest["scheduler"] = flowEulerConfig;
      const { denoise } = manifest.engines;
      if (denoise !== undefined) denoise.constants["scheduler"] = flowEulerConfig;
    });
    expect(parseManifest(changed.text, changed.folder).schedulers).toMatchObject({ kind: "euler", kinds: ["unipc", "euler"] });
    await changed.remove();
  });

  it("of the Wan variant opens with what CLIP reads, and its files have their hashes", async () => {
    const model = await openModel(wan);
    expect(model).toMatchObject({
      name: "demo-wan",
      variant: "wan",
      maxReferences: 1,
      clip: { tokens: 257, shortestEdge: 224, cropHeight: 224, cropWidth: 224 },
      text: { maxTokens: 512, cleaning: "wan" },
      schedulers: { kind: "unipc", kinds: ["unipc", "euler"] },
    });
    for (const engine of Object.values(model.engines)) await createEngineVerifier().verify(model, engine);
  });

  it.each([
    ["a width that does not divide by 16", (text: string) => text.replaceAll('"width": 64', '"width": 72').replace('"width": 8', '"width": 9'), "divide by 16"],
    ["a width of text that its engines do not have", (text: string) => text.replace('"max_tokens": 512', '"max_tokens": 500'), "not [1,500]"],
    ["a deviation of zero", (text: string) => text.replace("0.26862954", "0"), "std"],
    ["two references", (text: string) => text.replace('"max_references": 1,\n  "latent"', '"max_references": 2,\n  "latent"'), "takes (1)"],
    ["dynamic guidance", (text: string) => text.replace('"dynamic_guidance": false', '"dynamic_guidance": true'), "no dynamic guidance"],
    ["a scheduler of CogVideoX", (text: string) => text.replace('"UniPCMultistepScheduler"', '"CogVideoXDDIMScheduler"'), "CogVideoXDDIMScheduler"],
    ["nothing said of CLIP", (text: string) => text.replace('"clip": {', '"chip": {'), "clip is missing"],
    ["no engine for CLIP", (text: string) => text.replace('"clip_encode": {', '"clip_other": {'), "clip_encode is missing"],
  ])("of the Wan variant is refused for %s", async (_what, change, reason) => {
    const text = await readFile(join(wan, "farm.json"), "utf8");
    expect(change(text)).not.toBe(text);
    expect(() => parseManifest(change(text), wan)).toThrow(invalid(reason));
  });

  it("is refused when it is not there", async () => {
    await expect(openModel(join(folder, "missing"))).rejects.toEqual(invalid("farm.json"));
  });

  it("is listed, and folders without a manifest are not", async () => {
    await writeFile(join(folder, "note.txt"), "no model");
    const { models, faults } = await findModels(folder);
    expect([[...models.keys()], faults]).toEqual([["demo"], []]);
  });
});

describe("a repository", () => {
  it("serves what is sound beside a damaged model, and says what is wrong with that", async () => {
    await mkdir(join(folder, "broken"));
    await writeFile(join(folder, "broken/farm.json"), "{");
    const { models, faults } = await findModels(folder);
    expect([...models.keys()]).toEqual(["demo"]);
    expect(faults).toEqual([invalid("broken: farm.json is no JSON")]);
  });

  it("takes links to models for models", async () => {
    await symlink(wan, join(folder, "linked"));
    expect([...(await findModels(folder)).models.keys()].toSorted()).toEqual(["demo", "demo-wan"]);
  });

  it("serves neither of two models of one name", async () => {
    await cp(demo, join(folder, "twin"), { recursive: true });
    const { models, faults } = await findModels(folder);
    expect(models.size).toBe(0);
    expect(faults).toEqual([invalid("model demo stands in several folders")]);
  });

  it("that is not there is refused", async () => {
    await expect(findModels(join(folder, "none"))).rejects.toEqual(invalid("cannot be read"));
  });
});

describe("an engine's verification", () => {
  it("notices a changed file, though it had verified it before", async () => {
    const model = await openModel(join(folder, "copy"));
    const engine = engineOf(model, "denoise");
    const verifier = createEngineVerifier();
    await verifier.verify(model, engine);
    await verifier.verify(model, engine);
    await writeFile(join(model.folder, engine.path), new Uint8Array(engine.files[0]?.bytes ?? 0));
    await expect(verifier.verify(model, engine)).rejects.toEqual(invalid("SHA-256"));
    await writeFile(join(model.folder, engine.path), "short");
    await expect(verifier.verify(model, engine)).rejects.toEqual(invalid("bytes"));
    await rm(join(model.folder, engine.path));
    await expect(verifier.verify(model, engine)).rejects.toEqual(invalid("missing"));
  });
});

describe("the profile", () => {
  it.each([
    ["flags\t: fpu avx2 fma avx512f avx512bw avx512dq avx512vl", "x64", "x86_64-avx512"],
    ["flags\t: fpu avx2 fma", "x64", "x86_64-avx2"],
    ["flags\t: fpu", "x64", "x86_64-sse"],
    ["", "arm64", "arm64-neon"],
  ])("names the instruction set of %j on %s", (cpuInfo, architecture, expected) => {
    expect(instructionSet(cpuInfo, architecture)).toBe(expected);
  });

  it("names a device's architecture, and refuses to leave it out", () => {
    const options = { providers: ["cuda"], threads: 1, onnxruntimeVersion: "1.30.0" };
    expect(runtimeProfile({ ...options, architecture: "sm_90" })).toBe("cuda;ort-1.30.0;sm_90");
    expect(() => runtimeProfile({ ...options, architecture: undefined })).toThrow(expect.objectContaining({ code: "CONFIG_INVALID" }) as Error);
  });
});
