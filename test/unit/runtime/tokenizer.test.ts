import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { engineOf, type ModelManifest } from "../../../services/platform/models/manifest.ts";
import { openModel } from "../../../services/platform/models/repository.ts";
import { openTokenizer, type PromptTokenizer } from "../../../services/worker/runtime/tokenizer.ts";
import { cogvideoxNames, goldenTexts, openGolden, wanNames } from "../../support/golden.ts";

const demo = fileURLToPath(new URL("../../../models/demo", import.meta.url));
const wan = fileURLToPath(new URL("../../../models/demo-wan", import.meta.url));
const folders: string[] = [];
afterEach(async () => {
  await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true })));
});

const opened = async (text: Partial<ModelManifest["text"]> = {}, folder = demo): Promise<PromptTokenizer> => {
  const model = await openModel(folder);
  return openTokenizer({ ...model, text: { ...model.text, ...text } }, engineOf(model, "text_encode"));
};

/** Opens the demo model's tokenizer as `change` makes it, in a folder of its own and with its own hash. */
const openChanged = async (change: (json: Record<string, unknown>) => unknown): Promise<PromptTokenizer> => {
  const folder = await mkdtemp(join(tmpdir(), "vapfarm-tokenizer-"));
  folders.push(folder);
  const model = await openModel(demo);
  const bytes = JSON.stringify(change(JSON.parse(await readFile(join(demo, model.tokenizer), "utf8")) as Record<string, unknown>));
  await writeFile(join(folder, model.tokenizer), bytes);
  const engine = engineOf(model, "text_encode");
  const constants = { ...engine.constants, tokenizer_sha256: createHash("sha256").update(bytes).digest("hex") };
  return openTokenizer({ ...model, folder }, { ...engine, constants });
};

describe("golden prompts", () => {
  it.each(cogvideoxNames)("of %s have the reference's 226 ids", async (name) => {
    const golden = openGolden(name);
    const tokenizer = await opened();
    const { negativePrompt } = (await openModel(demo)).defaults;
    goldenTexts(golden, negativePrompt).forEach((text, call) => {
      const { ids } = tokenizer.encode(text);
      expect(ids.shape).toEqual([1, 226]);
      expect([...ids.data]).toEqual([...golden.int64(`text${call}_ids`).data]);
    });
  });

  it.each(wanNames)("of %s have the reference's 512 ids and mask", async (name) => {
    const golden = openGolden(name);
    const tokenizer = await opened({}, wan);
    const { negativePrompt } = (await openModel(wan)).defaults;
    goldenTexts(golden, negativePrompt).forEach((text, call) => {
      const { ids, mask } = tokenizer.encode(text);
      expect([ids.shape, mask.shape]).toEqual([
        [1, 512],
        [1, 512],
      ]);
      expect([...ids.data]).toEqual([...golden.int64(`text${call}_ids`).data]);
      expect([...mask.data]).toEqual([...golden.int64(`text${call}_mask`).data]);
    });
  });
});

describe("a prompt", () => {
  it("is cleaned for Wan only", async () => {
    const [none, wan] = await Promise.all([opened(), opened({ cleaning: "wan" })]);
    const messy = " Ã  la\n&amp;lt; ";
    expect(wan.encode(messy).ids).toEqual(none.encode("à la <").ids);
    expect(none.encode(messy).ids).not.toEqual(none.encode("à la <").ids);
  });

  it("has a mask that covers its own padding tokens, and no more than it has", async () => {
    const { ids, mask } = (await opened()).encode("<pad> x");
    expect(ids.data[0]).toBe(0n);
    expect(mask.data[0]).toBe(1n);
    expect(mask.data.at(-1)).toBe(0n);
  });

  it("is cut at the model's length, and says so only then", async () => {
    const tokenizer = await opened();
    const long = tokenizer.encode("long ".repeat(400));
    expect([long.isTruncated, long.ids.data.at(-1), long.mask.data.at(-1)]).toEqual([true, 1n, 1n]);
    expect(tokenizer.encode("short").isTruncated).toBe(false);
  });

  it("pads as the model says", async () => {
    await expect(opened({ padId: 3 })).rejects.toMatchObject({ code: "MODEL_INVALID" });
  });
});

describe("a tokenizer file", () => {
  it("is refused when it is not the file that the engine was exported with", async () => {
    const model = await openModel(demo);
    const engine = engineOf(model, "text_encode");
    const other = { ...engine, constants: { ...engine.constants, tokenizer_sha256: "0".repeat(64) } };
    const refused = openTokenizer(model, other);
    await expect(refused).rejects.toMatchObject({ code: "MODEL_INVALID", message: expect.stringContaining("tokenizer.json") as string });
  });

  it.each([
    ["of another format", (json: Record<string, unknown>) => ({ ...json, format: "vapfarm-sentencepiece-2" }), "format"],
    ["without pieces", (json: Record<string, unknown>) => ({ ...json, pieces: [] }), "pieces"],
    ["with a piece of an unknown type", (json: Record<string, unknown>) => ({ ...json, pieces: [["a", 0, 7]] }), "pieces"],
    ["whose unknown piece is none", (json: Record<string, unknown>) => ({ ...json, unk_id: 10_000 }), "unk_id"],
    ["that is a list", () => [], "object"],
    [
      "whose character map is broken",
      (json: Record<string, unknown>) => ({ ...json, normalizer: { ...(json["normalizer"] as object), charsmap: "AAAA" } }),
      "character map",
    ],
  ])("%s is refused, with its path and the reason", async (_what, change, reason) => {
    const message = expect.stringMatching(new RegExp(`/tokenizer\\.json.*${reason}`, "s")) as string;
    await expect(openChanged(change)).rejects.toMatchObject({ code: "MODEL_INVALID", message });
  });
});
