/**
 * `vapfarm render`: one video, on a farm or without one.
 */
import type { Command } from "commander";
import { describeCommand, type Finish, repeated, runBody, withFarmOptions } from "../command-line.ts";
import { batchOptionsOf, withBatchOptions } from "../batch/option.ts";
import { renderBatch } from "../batch/run.ts";
import type { CliContext } from "../context.ts";
import type { ExitCode } from "../exit-codes.ts";
import { withFarm } from "../farm-address.ts";
import { requireFile } from "../../client/upload.ts";
import { renderAndPrint } from "../render/on-farm.ts";
import { checkOptions, type RenderOptions } from "../render/render-options.ts";
import { renderLocally } from "../render/locally.ts";

const text = {
  name: "render",
  summary: "render one video, or a file of them",
  description:
    "Renders one video: its first frame is the image, its semantics are those of the references. Shows progress, then downloads the mp4 and draws a contact sheet.",
  examples: [
    'vapfarm render --model demo --image demo/image.png --reference demo/clip.mp4 --reference-prompt "A disc drifts." --prompt "A ball rolls."',
    "vapfarm render ... --seed 42 --steps 20 --outputs mp4,latents --out results",
    "vapfarm render ... --detach --json",
    "vapfarm render ... --local",
    "vapfarm render --file demo/renders.yaml --out results",
  ],
};

/** Adds the command. */
export function renderCommand(context: CliContext, finish: Finish): Command {
  return withBatchOptions(withFarmOptions(describeCommand(text)))
    .option("--model <name>", "model of the farm's repository")
    .option("--image <file>", "image that the video starts from")
    .option("--prompt <text>", "what the video shows")
    .addOption(repeated("--reference <file>", "clip whose semantics the video takes over; 1 to 3 times"))
    .addOption(repeated("--reference-prompt <text>", "what the reference shows; one for each, in the same order"))
    .option("--negative-prompt <text>", "what to avoid (else the model's default)")
    .option("--seed <number>", "0 to 2^63-1 (else drawn and told)")
    .option("--steps <number>", "denoise steps, 1 to 1000 (else the model's default)")
    .option("--guidance-scale <number>", "up to 1 switches guidance off (else the model's default)")
    .option("--dynamic-guidance", "let guidance grow over the steps (else the model's default)")
    .option("--no-dynamic-guidance", "constant guidance (else the model's default)")
    .option("--scheduler <name>", "ddim or dpm (else the model's)")
    .option("--frames-selection <how>", "frames of a reference: evenly or first (else evenly)")
    .option("--outputs <list>", "of mp4,latents,frames (else mp4)")
    .option("--reuse <what>", "results of earlier renders that may serve: all, inputs or none (else all)")
    .option("--priority <number>", "-100 to 100, higher first")
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

async function render(context: CliContext, options: RenderOptions, command: Command): Promise<ExitCode> {
  const batch = batchOptionsOf(command, options);
  if (batch !== undefined) return renderBatch(context, batch);
  checkOptions(options);
  await requireFile("--image", options.image);
  for (const path of options.reference) await requireFile("--reference", path);
  if (options.local === true) return renderLocally(context, options);
  return withFarm(context, options, (client) => renderAndPrint(context, options, client));
}
