import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { RenderSpec } from "../../../services/domain/render-spec.ts";
import type { PlannedTask, PlanRequest } from "../../../services/domain/planned-task.ts";
import { planRender } from "../../../services/domain/stage-graph.ts";
import { variantNames, variantOf } from "../../../services/domain/variants/registry.ts";
import { StageParameters } from "../../../services/gen/proto/vapfarm/v1/stage.ts";

const hash = (text: string): string => createHash("sha256").update(text).digest("hex");

const render: RenderSpec = {
  model: "demo",
  image: { sha256: hash("image") },
  prompt: "a cat",
  negativePrompt: "blurry",
  references: [{ sha256: hash("clip 0") }, { sha256: hash("clip 1") }],
  referencePrompts: ["a dog", "a bird"],
  seed: "9223372036854775807",
  steps: 50,
  guidanceScale: 6,
  dynamicGuidance: true,
  scheduler: "ddim",
  frameSelection: "evenly",
  outputs: ["mp4"],
  width: 64,
  height: 48,
  frames: 17,
};

const request: PlanRequest = {
  render,
  model: {
    name: "demo",
    variant: "cogvideox",
    fps: 16,
    engineDigests: { text_encode: "t", vae_encode_image: "i", vae_encode: "v", denoise: "d", vae_decode: "o" },
  },
  pool: "pool",
  profile: "cpu",
  tenant: "local",
  jobId: "job",
  reuse: "all",
  sha256: (bytes) => createHash("sha256").update(bytes).digest("hex"),
};

const plan = (overrides: Partial<RenderSpec> = {}, others: Partial<PlanRequest> = {}): readonly PlannedTask[] =>
  planRender({ ...request, ...others, render: { ...render, ...overrides } });

const keysOf = (tasks: readonly PlannedTask[], stage?: string): readonly string[] =>
  tasks.filter((task) => stage === undefined || task.stage === stage).map(({ contentKey }) => contentKey);

test("a render of two references is 14 tasks, in dependency order, one negative prompt for all", () => {
  const tasks = plan();
  expect(tasks.map(({ stage, label }) => `${stage}: ${label}`)).toEqual([
    "prepare: image",
    "text_encode: prompt",
    "text_encode: negative prompt, reference 1 negative prompt, reference 2 negative prompt",
    "vae_encode: image",
    "prepare: reference 1",
    "vae_encode: reference 1",
    "vae_encode: reference 1 first frame",
    "text_encode: reference 1 prompt",
    "prepare: reference 2",
    "vae_encode: reference 2",
    "vae_encode: reference 2 first frame",
    "text_encode: reference 2 prompt",
    "denoise: denoise",
    "vae_decode: decode",
  ]);
  const seen = new Set<string>();
  for (const { inputs, contentKey } of tasks) {
    for (const { source } of inputs) if (source.kind === "task") expect(seen.has(source.contentKey)).toBe(true);
    seen.add(contentKey);
  }
});

test("denoise takes exactly the inputs that stage.proto names", () => {
  const denoise = plan().find(({ stage }) => stage === "denoise");
  const ofReference = (index: number): readonly string[] =>
    ["moments", "first_moments", "prompt_embeds", "negative_prompt_embeds"].map((name) => `ref${index}_${name}`);
  expect(denoise?.inputs.map(({ name }) => name)).toEqual([
    "image_moments",
    "prompt_embeds",
    "negative_prompt_embeds",
    ...ofReference(0),
    ...ofReference(1),
  ]);
});

test("parameters are the JSON of stage.proto's messages, a seed of 63 bits unharmed", () => {
  const parameters = plan().map((task) => StageParameters.fromJSON(task.parameters));
  expect(parameters.map(({ kind }) => kind?.$case)).toContain("denoise");
  for (const [index, { parameters: json }] of plan().entries()) {
    const read = parameters[index] ?? StageParameters.create();
    expect(StageParameters.fromJSON(StageParameters.toJSON(read))).toEqual(read);
    expect(JSON.stringify(json)).not.toContain("undefined");
  }
  const denoise = parameters.find(({ kind }) => kind?.$case === "denoise")?.kind;
  expect(denoise?.value).toMatchObject({
    seed: 9223372036854775807n,
    steps: 50,
    guidanceScale: 6,
    dynamicGuidance: true,
    references: 2,
    scheduler: 1,
  });
});

test("shapes name the stage and the engine that a worker must hold", () => {
  expect([...new Set(plan().map(({ shape }) => shape))].sort()).toEqual([
    "denoise/d",
    "prepare/-",
    "text_encode/t",
    "vae_decode/o",
    "vae_encode/i",
    "vae_encode/v",
  ]);
});

test.each([
  [["mp4"], ["vae_decode: mp4"]],
  [["frames", "mp4"], ["vae_decode: mp4,frames"]],
  [["latents"], ["denoise: latents"]],
  [
    ["latents", "frames"],
    ["denoise: latents", "vae_decode: frames"],
  ],
] as const)("outputs %s are handed out by %s", (outputs, handedOut) => {
  const tasks = plan({ outputs: [...outputs] });
  const found = tasks.filter(({ artifacts }) => artifacts.length > 0).map(({ stage, artifacts }) => `${stage}: ${artifacts.join(",")}`);
  expect(found).toEqual(handedOut);
  expect(tasks.some(({ stage }) => stage === "vae_decode")).toBe(outputs.some((output) => output !== "latents"));
});

test("what is asked for in another order or beside it does not change what is computed", () => {
  expect(keysOf(plan({ outputs: ["mp4", "frames"] }))).toEqual(keysOf(plan({ outputs: ["frames", "mp4"] })));
  expect(keysOf(plan({ outputs: ["mp4", "latents"] }))).toEqual(keysOf(plan({ outputs: ["mp4"] })));
});

test("a change in the render changes the keys of what depends on it, and no others", () => {
  const before = plan();
  const cases: readonly (readonly [Partial<RenderSpec>, readonly string[]])[] = [
    [{ seed: "1" }, ["denoise", "decode"]],
    [{ steps: 49 }, ["denoise", "decode"]],
    [{ guidanceScale: 5 }, ["denoise", "decode"]],
    [{ dynamicGuidance: false }, ["denoise", "decode"]],
    [{ scheduler: "dpm" }, ["denoise", "decode"]],
    [{ prompt: "a cow" }, ["prompt", "denoise", "decode"]],
    [{ image: { sha256: hash("other") } }, ["image", "image", "denoise", "decode"]],
    [{ outputs: ["frames"] }, ["decode"]],
    [{ referencePrompts: ["a dog", "a fish"] }, ["reference 2 prompt", "denoise", "decode"]],
  ];
  for (const [change, labels] of cases) {
    const old = new Set(keysOf(before));
    const fresh = plan(change).filter(({ contentKey }) => !old.has(contentKey));
    expect(fresh.map(({ label }) => label)).toEqual(labels);
  }
});

test("frame selection concerns clips only", () => {
  const old = new Set(keysOf(plan()));
  const fresh = plan({ frameSelection: "first" }).filter(({ contentKey }) => !old.has(contentKey));
  expect(fresh.some(({ label }) => label === "image")).toBe(false);
  expect(fresh.map(({ label }) => label)).toContain("reference 1");
});

test("one clip used twice is prepared and encoded once", () => {
  const twice = plan({ references: [{ sha256: hash("clip") }, { sha256: hash("clip") }] });
  expect(twice.filter(({ stage }) => stage === "prepare")).toHaveLength(2);
  expect(twice.find(({ stage, label }) => stage === "prepare" && label !== "image")?.label).toBe("reference 1, reference 2");
});

test.each([
  ["all", 0],
  ["inputs", 2],
  ["none", 14],
] as const)("a job that reuses %s keeps %i of its tasks to itself", (reuse, own) => {
  const [left, right] = [plan({}, { reuse, jobId: "a" }), plan({}, { reuse, jobId: "b" })];
  const shared = new Set(keysOf(left));
  expect(keysOf(right).filter((key) => !shared.has(key))).toHaveLength(own);
  expect(keysOf(plan({}, { reuse, tenant: "other" })).filter((key) => shared.has(key))).toEqual([]);
});

test("an engine's digest or the pool's profile changes the keys of the stages that run on them", () => {
  const old = new Set(keysOf(plan()));
  const ofProfile = plan({}, { profile: "cuda" }).filter(({ contentKey }) => old.has(contentKey));
  expect(ofProfile.every(({ stage }) => stage === "prepare")).toBe(true);
  const model = { ...request.model, engineDigests: { ...request.model.engineDigests, denoise: "new" } };
  const ofEngine = plan({}, { model }).filter(({ contentKey }) => !old.has(contentKey));
  expect(ofEngine.map(({ stage }) => stage)).toEqual(["denoise", "vae_decode"]);
});

test("two pools share no task, though their profiles are equal", () => {
  const old = new Set(keysOf(plan()));
  expect(keysOf(plan({}, { pool: "other" })).filter((key) => old.has(key))).toEqual([]);
});

test("a model without an engine that is needed is refused", () => {
  expect(() => plan({}, { model: { ...request.model, engineDigests: {} } })).toThrow("model demo has no engine text_encode");
});

describe("a render of the Wan variant", () => {
  const wanRequest: Partial<PlanRequest> = {
    model: {
      name: "wan",
      variant: "wan",
      fps: 16,
      engineDigests: { text_encode: "wt", clip_encode: "wc", vae_encode: "wv", denoise: "wd", vae_decode: "wo" },
      clip: { shortestEdge: 224, height: 224, width: 224 },
    },
  };
  const one: Partial<RenderSpec> = { references: [{ sha256: hash("clip") }], referencePrompts: ["a dog"], scheduler: "unipc" };
  const planWan = (overrides: Partial<RenderSpec> = {}) => plan({ ...one, ...overrides }, wanRequest);

  test("is 14 tasks, in dependency order, images seen by CLIP at their own size", () => {
    const tasks = planWan();
    expect(tasks.map(({ stage, label }) => `${stage}: ${label}`)).toEqual([
      "prepare: image",
      "prepare: image for CLIP",
      "text_encode: prompt",
      "text_encode: negative prompt, reference 1 negative prompt",
      "clip_encode: image",
      "vae_encode: image",
      "prepare: reference 1",
      "prepare: reference 1 first frame for CLIP",
      "clip_encode: reference 1 first frame",
      "vae_encode: reference 1",
      "vae_encode: reference 1 first frame",
      "text_encode: reference 1 prompt",
      "denoise: denoise",
      "vae_decode: decode",
    ]);
    const views = tasks.filter(({ label }) => label.endsWith("for CLIP"));
    expect(views.map(({ parameters }) => StageParameters.fromJSON(parameters).kind?.value)).toEqual(
      views.map(() => expect.objectContaining({ frames: 1, height: 224, width: 224, resize: 2, shortestEdge: 224 }) as unknown),
    );
    expect(views.map(({ inputs }) => inputs[0]?.source)).toEqual([
      { kind: "upload", sha256: hash("image") },
      { kind: "upload", sha256: hash("clip") },
    ]);
  });

  test("denoises from latents, what CLIP saw, and prompts", () => {
    const denoise = planWan().find(({ stage }) => stage === "denoise");
    expect(denoise?.inputs.map(({ name }) => name)).toEqual([
      "image_latents",
      "image_embeds",
      "prompt_embeds",
      "negative_prompt_embeds",
      "ref0_latents",
      "ref0_first_latents",
      "ref0_image_embeds",
      "ref0_prompt_embeds",
      "ref0_negative_prompt_embeds",
    ]);
    expect(StageParameters.fromJSON(denoise?.parameters).kind?.value).toMatchObject({ scheduler: 3, references: 1 });
  });

  test("shares the pixels of one picture with a render of another variant, and nothing else", () => {
    const cogvideox = new Set(keysOf(plan()));
    const shared = planWan({ references: [{ sha256: hash("clip 0") }] }).filter(({ contentKey }) => cogvideox.has(contentKey));
    expect(shared.map(({ label }) => label)).toEqual(["image", "reference 1"]);
  });

  test("is refused where the manifest does not say what CLIP reads", () => {
    const blind = { ...(wanRequest.model ?? request.model), clip: undefined };
    expect(() => plan(one, { model: blind })).toThrow("does not say what CLIP reads");
  });
});

test("every graph takes only what earlier nodes give, under names of its own", () => {
  for (const name of variantNames) {
    const { graph, engines } = variantOf(name);
    const known = new Set<string>();
    for (const node of [...graph.nodes.filter(({ per }) => per === "render"), ...graph.nodes.filter(({ per }) => per === "reference")]) {
      expect(known.has(node.name)).toBe(false);
      for (const input of node.inputs) expect([node.name, known.has(input.node)]).toEqual([node.name, true]);
      if (node.engine !== undefined) expect(engines).toContain(node.engine);
      known.add(node.name);
    }
    for (const input of graph.denoise) expect([input.name, known.has(input.node)]).toEqual([input.name, true]);
  }
});

test("two renders have the same plan exactly when they ask for the same", () => {
  const text = fc.constantFrom("x", "y", "");
  const spec = fc.record({ prompt: text, negativePrompt: text, seed: fc.constantFrom("0", "1"), steps: fc.constantFrom(1, 2) });
  fc.assert(
    fc.property(spec, spec, (left, right) => {
      const isSame = JSON.stringify(left) === JSON.stringify(right);
      expect(keysOf(plan(left), "denoise")[0] === keysOf(plan(right), "denoise")[0]).toBe(isSame);
    }),
  );
});
