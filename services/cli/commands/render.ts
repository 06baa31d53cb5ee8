/**
 * `vapfarm render`: one video, on a farm or without one.
 */
import type { Command } from "commander";
import { invalidOption } from "../ages.ts";
import { describeCommand, type Finish, repeated, runBody, withFarmOptions } from "../command-line.ts";
import { batchOptionsOf, withBatchOptions } from "../batch/option.ts";
import { renderBatch } from "../batch/run.ts";
import type { CliContext } from "../context.ts";
import type { ExitCode } from "../exit-codes.ts";
import { underCommandSpan } from "../command-trace.ts";
import { type FarmOptions, withFarm } from "../farm-address.ts";
import { requireFile } from "../../client/upload.ts";
import { renderAndPrint } from "../render/on-farm.ts";
import { checkOptions, isMediaAddress, type RenderOptions } from "../render/render-options.ts";
import { renderLocally } from "../render/locally.ts";
import { readWebhookSecret } from "../render/webhook-secret.ts";

const text = {
  name: "render",
  group: "renders",
  summary: "render one video, or a file of them",
  description:
    "Renders one video: its first frame is the image, its semantics are those of the references. Shows progress, then downloads the mp4 and draws a contact sheet.",
  examples: [
    'vapfarm render --model demo --image demo/image.png --reference demo/clip.mp4 --reference-prompt "A disc drifts." --prompt "A ball rolls."',
    "vapfarm render ... --seed 42 --steps 20 --outputs mp4,latents --out results",
    "vapfarm render ... --detach --json",
    "vapfarm render ... --local",
    "vapfarm render --file demo/renders.yaml --out results",
    "vapfarm render ... --image https://media.example/first-frame.png --priority 50 --deadline 2h",
    "vapfarm render ... --webhook https://hooks.example/vapfarm --webhook-secret-file secret.txt --detach",
  ],
} as const;

/** Adds the command. */
export function renderCommand(context: CliContext, finish: Finish): Command {
  return withBatchOptions(withFarmOptions(describeCommand(text)))
    .option("--model <name>", "model of the farm's repository")
    .option("--image <media>", "image that the video starts from: a file, or an https:// or s3:// address")
    .option("--prompt <text>", "what the video shows")
    .addOption(
      repeated("--reference <media>", "clip whose semantics the video takes over: a file or an address; as often as the model takes"),
    )
    .addOption(repeated("--reference-prompt <text>", "what the reference shows; one for each, in the same order"))
    .option("--negative-prompt <text>", "what to avoid (else the model's default)")
    .option("--seed <number>", "0 to 2^63-1 (else drawn and told)")
    .option("--steps <number>", "denoise steps, 1 to 1000 (else the model's default)")
    .option("--guidance-scale <number>", "up to 1 switches guidance off (else the model's default)")
    .option("--dynamic-guidance", "let guidance change over the steps, CogVideoX only (else the model's default)")
    .option("--no-dynamic-guidance", "constant guidance (else the model's default)")
    .option("--scheduler <name>", "ddim or dpm (CogVideoX), unipc or euler (Wan); else the model's")
    .option("--frames-selection <how>", "frames of a reference: evenly or first (else evenly)")
    .option("--outputs <list>", "of mp4,latents,frames (else mp4)")
    .option("--reuse <what>", "results of earlier renders that may serve: all, inputs or none (else all)")
    .option("--priority <number>", "-100 to 100, higher first")
    .option("--deadline <time>", "when it is needed: ISO 8601, or how long from now, such as 2h")
    .option("--job-class <name>", "production or benchmark (else production)")
    .option("--webhook <url>", "https address that is told when the job ends")
    .option("--webhook-secret-file <file>", "key that signs what the webhook is told, whsec_...")
    .option("--idempotency-key <key>", "a repeat with the same key returns the first job")
    .option("--out <folder>", "where files are written", ".")
    .option("--detach", "submit and leave")
    .option("--local", "without a farm: run the stages here, one after another")
    .option("--models <folder>", "with --local: the model repository")
    .option("--threads <number>", "with --local: threads of the runtime", "1")
    .action(async (options: RenderOptions, command: Command) =>
      finish(await runBody(context, () => render(context, options, command), options)),
    );
}

async function render(context: CliContext, given: RenderOptions, command: Command): Promise<ExitCode> {
  const batch = batchOptionsOf(command, given);
  if (batch !== undefined) return underCommandSpan(context, "render", (traceparent) => renderBatch(context, traced(batch, traceparent)));
  const options = await withSecret(given);
  checkOptions(options);
  await requireMedia("--image", options.image, options);
  for (const media of options.reference) await requireMedia("--reference", media, options);
  if (options.local === true) return renderLocally(context, options);
  return underCommandSpan(context, "render", (traceparent) =>
    withFarm(context, traced(options, traceparent), (client) => renderAndPrint(context, traced(options, traceparent), client)),
  );
}

function traced<O extends FarmOptions>(options: O, traceparent: string | undefined): O {
  return traceparent === undefined ? options : { ...options, traceparent };
}

async function requireMedia(option: string, media: string, { local }: RenderOptions): Promise<void> {
  if (!isMediaAddress(media)) return requireFile(option, media);
  if (local === true) throw invalidOption(option, "--local fetches nothing", "name a file");
}

async function withSecret(options: RenderOptions): Promise<RenderOptions> {
  const path = options.webhookSecretFile;
  if (path === undefined) return options;
  return { ...options, webhookSecret: await readWebhookSecret("--webhook-secret-file", path) };
}
