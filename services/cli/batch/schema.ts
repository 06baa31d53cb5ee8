/**
 * What a batch file can say. Names are those of the options of `vapfarm render`; they may be written as `negative-prompt`,
 * `negative_prompt` or `negativePrompt`.
 *
 * Only shapes are judged here; what a model allows is the farm's to say.
 */
import { z } from "zod";
import { schedulerKinds } from "../../domain/render-spec.ts";

const maxSeed = 2n ** 63n - 1n;

/** YAML's whole numbers come as bigint, so that no digit of a seed is lost. */
const whole = (least: number, most: number) =>
  z
    .bigint({ error: `a whole number from ${least} to ${most}` })
    .refine((value) => value >= BigInt(least) && value <= BigInt(most), { error: `a whole number from ${least} to ${most}` })
    .transform(Number);
const seed = z
  .bigint({ error: "a whole number from 0 to 2^63-1" })
  .refine((value) => value >= 0n && value <= maxSeed, { error: "a whole number from 0 to 2^63-1" });
const amount = z.union([z.number(), z.bigint()], { error: "a number" }).transform(Number);
const text = z.string({ error: "text; put it between quotes" });
const someText = text.refine((value) => value.trim() !== "", { error: "text that is not empty" });
const choice = <const T extends readonly [string, ...string[]]>(values: T) => z.enum(values, { error: `one of ${values.join(", ")}` });
const list = <T extends z.ZodType>(item: T, what: string) => z.array(item, { error: `a list of ${what}` });

const reference = z.strictObject(
  { media: someText, prompt: text.default("") },
  { error: ({ code }) => (code === "unrecognized_keys" ? undefined : "a mapping with `media` and `prompt`") },
);

const webhook = z.strictObject(
  {
    url: text.refine((value) => value.startsWith("https://"), { error: "an address that begins with https://" }),
    secret_file: someText.optional(),
  },
  { error: ({ code }) => (code === "unrecognized_keys" ? undefined : "a mapping with `url` and `secret_file`") },
);

const renderFields = {
  name: text.regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, {
    error: "a name of letters, digits, dots, dashes and underscores, at most 100, that begins with a letter or digit",
  }),
  model: someText,
  image: someText,
  prompt: text,
  negative_prompt: text,
  references: list(reference, "references, each with `media` and `prompt`").min(1, { error: "at least one reference" }),
  seed,
  seeds: list(seed, "seeds").min(1, { error: "at least one seed" }).max(100_000, { error: "at most 100,000 seeds" }),
  repeat: whole(1, 100_000),
  steps: whole(1, 1_000),
  guidance_scale: amount,
  dynamic_guidance: z.boolean({ error: "true or false" }),
  scheduler: choice(schedulerKinds),
  frame_selection: choice(["evenly", "first"]),
  outputs: list(choice(["mp4", "latents", "frames"]), "outputs: mp4, latents, frames").min(1, { error: "at least one output" }),
  width: whole(1, 65_536),
  height: whole(1, 65_536),
  frames: whole(1, 65_536),
};

const mapping = (what: string) => ({
  error: (issue: { readonly code?: string | undefined }) => (issue.code === "unrecognized_keys" ? undefined : what),
});

const { name, ...defaultable } = renderFields;
const renderEntry = z.strictObject({ name, ...defaultable }, mapping("a mapping, such as `prompt: ...`")).partial();

/** The file as a whole. */
export const batchSchema = z.strictObject(
  {
    defaults: z.strictObject(defaultable, mapping("a mapping, such as `model: demo`")).partial().optional(),
    renders: list(renderEntry, "renders").min(1, { error: "at least one render" }),
    priority: whole(-100, 100).optional(),
    job_class: choice(["production", "benchmark"]).optional(),
    reuse: choice(["all", "inputs", "none"]).optional(),
    deadline: z.iso
      .datetime({ offset: true, error: "a time such as 2027-01-31T18:00:00Z" })
      .transform((value) => new Date(value))
      .optional(),
    webhook: webhook.optional(),
  },
  mapping("a mapping with `renders:`, or a list of renders"),
);

/** What a sound file says. */
export type BatchContent = z.output<typeof batchSchema>;
/** What one render of it says. */
export type RenderEntry = BatchContent["renders"][number];

/** Other spellings → the one that the schema knows. */
export function canonicalName(key: string): string {
  const underscored = key.replaceAll("-", "_").replaceAll(/([a-z0-9])([A-Z])/g, "$1_$2");
  const snake = underscored.toLowerCase();
  return snake === "frames_selection" ? "frame_selection" : snake;
}

/** The names that are allowed where one was not, for the message. */
export function allowedNames(path: readonly PropertyKey[]): readonly string[] {
  if (path.length === 0) return Object.keys(batchSchema.shape);
  if (path[0] === "webhook") return Object.keys(webhook.shape);
  if (path.includes("references")) return Object.keys(reference.shape);
  return Object.keys(path[0] === "defaults" ? defaultable : renderFields);
}
