import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { HeldManifest } from "../../../services/platform/models/repository.ts";
import { openManifest } from "../../../services/platform/models/repository.ts";
import { folderOf } from "../../../services/worker/models/held-models.ts";
import { parsePreload, planPreload, type PreloadCandidate, type PreloadChoice } from "../../../services/worker/models/preload-plan.ts";
import { projectRoot } from "../../support/ffmpeg.ts";

let demo: HeldManifest;
let metrics: HeldManifest;
beforeAll(async () => {
  demo = await openManifest(join(projectRoot, "models/demo"));
  metrics = await openManifest(join(projectRoot, "models/demo-metrics"));
});

const choice = (text: string): PreloadChoice => parsePreload(text) ?? expect.fail(`${text} is no choice`);
const planned = (text: string, candidates: readonly PreloadCandidate[]) =>
  planPreload(choice(text), { candidates, aliases: new Map() }).map(({ manifest, engine }) => `${manifest.name}/${engine.name}`);
/** The same model with a denoiser of its own. */
const anotherVersion = (): HeldManifest => {
  const { denoise } = demo.engines;
  if (denoise === undefined) return expect.fail("demo has no denoiser");
  return { ...demo, folder: "/another", engines: { ...demo.engines, denoise: { ...denoise, digest: "0".repeat(64) } } };
};

describe("what is preloaded", () => {
  it.each(["", "a b", "cog,", "cog/", "cog/a/b", "/denoise", "cog/Denoise", "cog@", "cog:prod", "cog@a@b"])("%j is no choice", (text) =>
    expect(parsePreload(text)).toBe(undefined),
  );

  it("is nothing, everything, a model, a stage of it, or an engine", () => {
    const candidates = [
      { manifest: demo, version: undefined, arrivedAtMs: 1 },
      { manifest: metrics, version: undefined, arrivedAtMs: 1 },
    ];
    expect(planned("none", candidates)).toEqual([]);
    expect(planned("all", candidates)).toHaveLength(Object.keys(demo.engines).length + Object.keys(metrics.engines).length);
    expect(planned("demo", candidates)).toHaveLength(Object.keys(demo.engines).length);
    expect(planned("demo/vae_encode, demo/denoise", candidates)).toEqual(["demo/vae_encode_image", "demo/vae_encode", "demo/denoise"]);
    expect(planned("demo/vae_encode_image,demo/vae_encode_image", candidates)).toEqual(["demo/vae_encode_image"]);
    expect(planned("demo-metrics/dino_b16", candidates)).toEqual(["demo-metrics/dino_b16"]);
  });

  const [first, second] = ["1".repeat(12), "2".repeat(12)] as const;
  it.each<[string, string, Readonly<Record<string, string>>, string]>([
    ["what prod named, whenever it came", "demo", { "demo@prod": first }, "first"],
    ["what prod named", "demo", { "demo@prod": second, "demo@old": first }, "second"],
    ["what came last where nobody wrote it down", "demo", {}, "second"],
    ["what came last where that is not here", "demo", { "demo@prod": "3".repeat(12) }, "second"],
    ["what its alias named", "demo@old", { "demo@prod": second, "demo@old": first }, "first"],
    ["the one that is named", `demo:${first}`, { "demo@prod": second }, "first"],
  ])("is of several versions %s", (...[, named, aliases, folder]) => {
    const candidates = [
      { manifest: { ...demo, folder: "first" }, version: first, arrivedAtMs: 1 },
      { manifest: { ...anotherVersion(), folder: "second" }, version: second, arrivedAtMs: 2 },
    ];
    const stock = { candidates, aliases: new Map(Object.entries(aliases)) };
    expect(planPreload(choice(`${named}/denoise`), stock).map(({ manifest }) => manifest.folder)).toEqual([folder]);
    if (named === "demo") expect(planPreload(choice("all"), stock).map(({ manifest }) => manifest.folder)).toContain(folder);
    // A bare name is the plain folder's where there is one.
    const plain = { ...stock, candidates: [...candidates, { manifest: demo, version: undefined, arrivedAtMs: 0 }] };
    const isBare = named === "demo";
    expect(planPreload(choice(named), plain)[0]?.manifest.folder).toBe(isBare ? demo.folder : folder);
  });

  it.each([
    ["none-such", "names model none-such"],
    ["demo/clip_encode", "names demo/clip_encode"],
    ["demo@prod", "names model demo@prod"],
    ["demo:000000000000", "names model demo:000000000000"],
  ])("%s is refused where it is not held", (text, message) => {
    expect(() => planned(text, [{ manifest: demo, version: undefined, arrivedAtMs: 1 }])).toThrow(message);
  });
});

describe("the folder of a claim", () => {
  it("is one with its engines, of its model if there is one", () => {
    const other = anotherVersion();
    const held = [
      { manifest: other, version: "0".repeat(12) },
      { manifest: demo, version: undefined },
      { manifest: { ...demo, name: "twin", folder: "/twin" } as HeldManifest, version: undefined },
    ];
    const digest = (name: string) => demo.engines[name]?.digest ?? "";
    const claim = (model: string, ...names: readonly string[]) => ({
      model,
      engineDigests: Object.fromEntries(names.map((name) => [name, digest(name)])),
    });
    expect(folderOf(held, claim("demo", "denoise"))).toBe(demo.folder);
    expect(folderOf(held, claim("twin", "denoise"))).toBe("/twin");
    expect(folderOf(held, { model: "demo", engineDigests: { denoise: "0".repeat(64) } })).toBe("/another");
    // A digest covers all that its stage relies on: whose model it is does not matter.
    expect(folderOf(held, { model: "elsewhere", engineDigests: { denoise: digest("denoise") } })).toBe(demo.folder);
    expect(() => folderOf(held, { model: "demo", engineDigests: { denoise: "1".repeat(64) } })).toThrow("no version of model");
    expect(() => folderOf(held, { model: "none", engineDigests: { denoise: "1".repeat(64) } })).toThrow('no model "none"');
  });
});
