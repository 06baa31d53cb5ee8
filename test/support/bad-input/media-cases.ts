/**
 * Submits and uploads that a farm must refuse.
 */
import type { JsonObject } from "@bufbuild/protobuf";
import type { BadCase } from "./cases.ts";

const good: JsonObject = {
  model: "demo",
  image: { sha256: "IMAGE" },
  prompt: "A ball rolls.",
  references: [{ sha256: "CLIP" }],
  referencePrompts: ["A disc drifts."],
};
const unknownSha = "0".repeat(64);
const media = [
  "FIELD_INVALID",
  "MEDIA_UNKNOWN",
  "MEDIA_NOT_DECODABLE",
  "MEDIA_EMPTY",
  "MEDIA_TOO_LARGE",
  "ADDRESS_REFUSED",
  "FETCH_FAILED",
];

type Change = { readonly title: string; readonly change: JsonObject; readonly field: string; readonly codes?: readonly string[] };

const addresses = [
  "http://example.com/a.png",
  "https://127.0.0.1/a.png",
  "https://169.254.169.254/latest/meta-data/",
  "https://[::1]/a.png",
  "https://[::ffff:127.0.0.1]/a.png",
  "https://2130706433/a.png",
  "https://0x7f.1/a.png",
  "https://localhost/a.png",
  "https://metadata.google.internal/",
  "https://user:password@example.com/a.png",
  "https://example.com:0/a.png",
  "file:///etc/passwd",
  "ftp://example.com/a.png",
  "s3://bucket/../../key",
  "s3://",
  "javascript:alert(1)",
  "gopher://example.com/",
  "https://",
  "not an address",
  `https://example.com/${"a".repeat(10_000)}`,
];

/** Changes that make a right render wrong, and the field to blame. */
const renderChanges: readonly Change[] = [
  { title: "no model", change: { model: "" }, field: "model", codes: ["MODEL_UNKNOWN", "FIELD_INVALID"] },
  { title: "a model's path", change: { model: "../../etc" }, field: "model", codes: ["MODEL_UNKNOWN", "FIELD_INVALID"] },
  {
    title: "a model of 100,000 characters",
    change: { model: "m".repeat(100_000) },
    field: "model",
    codes: ["MODEL_UNKNOWN", "FIELD_INVALID"],
  },
  { title: "an image of nothing", change: { image: {} }, field: "image", codes: media },
  { title: "an image that is a path", change: { image: { sha256: "../../etc/passwd" } }, field: "image", codes: media },
  { title: "an image in capitals", change: { image: { sha256: "A".repeat(64) } }, field: "image", codes: media },
  { title: "an unknown image", change: { image: { sha256: unknownSha } }, field: "image", codes: media },
  { title: "an image given twice", change: { image: { sha256: unknownSha, uri: "https://example.com/" } }, field: "image", codes: media },
  { title: "inline bytes that are no media", change: { image: { inline: "bm90aGluZw==" } }, field: "image", codes: media },
  { title: "inline bytes above the limit", change: { image: { inline: Buffer.alloc(1_048_577).toString("base64") } }, field: "image", codes: media }, // prettier-ignore
  ...addresses.map((uri): Change => ({
    title: `an image at ${uri.slice(0, 60)}`,
    change: { image: { uri } },
    field: "image",
    codes: media,
  })),
  { title: "a prompt with a NUL", change: { prompt: "a\u0000b" }, field: "prompt" },
  { title: "a prompt of 20,001 characters", change: { prompt: "p".repeat(20_001) }, field: "prompt" },
  { title: "a negative prompt with a NUL", change: { negativePrompt: "\u0000" }, field: "negative_prompt" },
  { title: "no reference", change: { references: [], referencePrompts: [] }, field: "references" },
  { title: "four references", change: { references: Array.from({ length: 4 }, () => ({ sha256: "CLIP" })), referencePrompts: ["", "", "", ""] }, field: "references" }, // prettier-ignore
  { title: "a reference without a prompt", change: { referencePrompts: [] }, field: "reference_prompts" },
  { title: "an image as a reference", change: { references: [{ sha256: "IMAGE" }] }, field: "references[0]" },
  ...["-1", "-9223372036854775808"].map((seed): Change => ({ title: `seed ${seed}`, change: { seed }, field: "seed" })),
  ...[0, -1, 1001, 2_147_483_647].map((steps): Change => ({ title: `${steps} steps`, change: { steps }, field: "steps" })),
  ...["NaN", "Infinity", "-Infinity", -1e-9, 100.0001, 1e308].map((scale): Change => ({
    title: `guidance ${scale}`,
    change: { guidance: { scale } },
    field: "guidance.scale",
  })),
  { title: "an unknown scheduler", change: { scheduler: 99 }, field: "scheduler" },
  { title: "an unknown frame selection", change: { frameSelection: 99 }, field: "frame_selection" },
  { title: "an unknown output", change: { outputs: [99] }, field: "outputs[0]" },
  { title: "an output twice", change: { outputs: [1, 1] }, field: "outputs[1]" },
  ...[0, -1, 2_147_483_647].map((width): Change => ({ title: `width ${width}`, change: { width }, field: "width" })),
  { title: "a height of another model", change: { height: 720 }, field: "height" },
  { title: "frames of another model", change: { frames: 49 }, field: "frames" },
];

const jobChanges: readonly Change[] = [
  ...[101, -101, 2_147_483_647, -2_147_483_648].map((priority): Change => ({
    title: `priority ${priority}`,
    change: { priority },
    field: "priority",
  })),
  { title: "a deadline that has passed", change: { deadline: "2000-01-01T00:00:00Z" }, field: "deadline" },
  { title: "an unknown class", change: { jobClass: 99 }, field: "job_class" },
  { title: "an unknown reuse", change: { reuse: 99 }, field: "reuse" },
  { title: "a key with a line break", change: { idempotencyKey: "a\nb" }, field: "idempotency_key" },
  { title: "a key of 129 characters", change: { idempotencyKey: "k".repeat(129) }, field: "idempotency_key" },
  { title: "a key beyond ASCII", change: { idempotencyKey: "schlüssel" }, field: "idempotency_key" },
  ...[
    "http://example.com/hook",
    "https://127.0.0.1/hook",
    "https://[::1]:1/",
    "ftp://example.com/",
    "https://user:pass@example.com/",
    "nonsense",
    "",
  ].map((url): Change => ({
    title: `a webhook to ${url === "" ? "nowhere" : url}`,
    change: { webhook: { url, secret: `whsec_${Buffer.alloc(32, 7).toString("base64")}` } },
    field: "webhook.url",
    codes: ["FIELD_INVALID", "ADDRESS_REFUSED"],
  })),
  ...["", "secret", "whsec_", "whsec_c2hvcnQ=", `whsec_${"!".repeat(44)}`, `whsec_${Buffer.alloc(65).toString("base64")}`].map(
    (secret): Change => ({
      title: `a webhook's secret ${secret.slice(0, 14)} (${secret.length})`,
      change: { webhook: { url: "https://example.com/hook", secret } },
      field: "webhook.secret",
    }),
  ),
];

const invalid = ["FIELD_INVALID"];

/** One render, and the same as the second item of a batch. */
export const submitCases: readonly BadCase[] = [
  { method: "SubmitRender", title: "nothing at all", messages: [{}], codes: invalid, field: "render" },
  { method: "SubmitRenders", title: "nothing at all", messages: [{}], codes: invalid, field: "renders" },
  { method: "SubmitRenders", title: "1,001 renders", messages: [{ renders: Array.from({ length: 1_001 }, () => good) }], codes: invalid, field: "renders" }, // prettier-ignore
  ...renderChanges.map(({ title, change, field, codes = invalid }): BadCase => ({
    method: "SubmitRender",
    title,
    messages: [{ render: { ...good, ...change } }],
    codes,
    field: `render.${field}`,
  })),
  ...jobChanges.flatMap(({ title, change, field, codes = invalid }): BadCase[] => [
    { method: "SubmitRender", title, messages: [{ render: good, ...change }], codes, field },
    { method: "SubmitRenders", title, messages: [{ renders: [good], ...change }], codes, field },
  ]),
];

export type ItemCase = {
  readonly title: string;
  readonly message: JsonObject;
  readonly codes: readonly string[];
  readonly field: string;
};

/** Items that make a batch store nothing although the call itself succeeds. */
export const itemCases: readonly ItemCase[] = renderChanges.map(({ title, change, field, codes = invalid }) => ({
  title,
  message: { renders: [good, { ...good, ...change }] },
  codes,
  field: `renders[1].${field}`,
}));

const chunk = (bytes: Uint8Array): JsonObject => ({ chunk: Buffer.from(bytes).toString("base64") });
const header = (fields: JsonObject = {}): JsonObject => ({ header: { fileName: "a", ...fields } });
const bytes = Buffer.from("IMAGE");

export const uploadCases: readonly BadCase[] = [
  { method: "UploadMedia", title: "no message", messages: [], codes: ["UPLOAD_PROTOCOL"] },
  { method: "UploadMedia", title: "an empty message", messages: [{}], codes: ["UPLOAD_PROTOCOL"] },
  { method: "UploadMedia", title: "a chunk first", messages: [chunk(bytes)], codes: ["UPLOAD_PROTOCOL"] },
  { method: "UploadMedia", title: "two headers", messages: [header(), header()], codes: ["UPLOAD_PROTOCOL"] },
  { method: "UploadMedia", title: "no bytes", messages: [header()], codes: ["MEDIA_EMPTY"] },
  { method: "UploadMedia", title: "a chunk above 256 KiB", messages: [header(), chunk(Buffer.alloc(262_145))], codes: ["UPLOAD_PROTOCOL"] },
  { method: "UploadMedia", title: "no media", messages: [header(), chunk(Buffer.from("nothing"))], codes: ["MEDIA_NOT_DECODABLE"] },
  {
    method: "UploadMedia",
    title: "another size",
    messages: [header({ sizeBytes: "6" }), chunk(bytes)],
    codes: ["UPLOAD_CHECKSUM_MISMATCH"],
  },
  {
    method: "UploadMedia",
    title: "another hash",
    messages: [header({ sha256: unknownSha }), chunk(bytes)],
    codes: ["UPLOAD_CHECKSUM_MISMATCH"],
  },
  { method: "UploadMedia", title: "a size above all limits", messages: [header({ sizeBytes: "9223372036854775807" }), chunk(bytes)], codes: ["MEDIA_TOO_LARGE"] }, // prettier-ignore
  { method: "UploadMedia", title: "a negative size", messages: [header({ sizeBytes: "-1" }), chunk(bytes)], codes: ["FIELD_INVALID", "UPLOAD_CHECKSUM_MISMATCH"] }, // prettier-ignore
  { method: "UploadMedia", title: "an unknown upload", messages: [header({ uploadId: "00000000-0000-4000-8000-000000000000" }), chunk(bytes)], codes: ["UPLOAD_UNKNOWN"] }, // prettier-ignore
  { method: "UploadMedia", title: "an upload's path", messages: [header({ uploadId: "../../x" }), chunk(bytes)], codes: ["UPLOAD_UNKNOWN", "FIELD_INVALID"] }, // prettier-ignore
  { method: "UploadMedia", title: "an offset of no upload", messages: [header({ offsetBytes: "5" }), chunk(bytes)], codes: ["FIELD_INVALID", "UPLOAD_PROTOCOL"] }, // prettier-ignore
  ...["0", "-1", "9223372036854775807"].map(
    (sizeBytes): BadCase => ({ method: "BeginUpload", title: `${sizeBytes} bytes`, messages: [{ sizeBytes }], codes: ["FIELD_INVALID", "MEDIA_EMPTY", "MEDIA_TOO_LARGE"] }), // prettier-ignore
  ),
  ...["x", "A".repeat(64), `${unknownSha}\n`, "../../etc/passwd"].map(
    (sha256): BadCase => ({ method: "BeginUpload", title: `sha256 ${sha256.slice(0, 20)}`, messages: [{ sizeBytes: "5", sha256 }], codes: invalid, field: "sha256" }), // prettier-ignore
  ),
  {
    method: "BeginUpload",
    title: "a long name",
    messages: [{ sizeBytes: "5", fileName: "n".repeat(256) }],
    codes: invalid,
    field: "file_name",
  },
  {
    method: "BeginUpload",
    title: "a name with a NUL",
    messages: [{ sizeBytes: "5", fileName: "\u0000" }],
    codes: invalid,
    field: "file_name",
  },
];
