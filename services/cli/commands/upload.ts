/**
 * `vapfarm upload`: images and clips, for renders to name by their hash.
 */
import { resolve } from "node:path";
import type { Command } from "commander";
import { UploadMediaResponse } from "../../gen/proto/vapfarm/v1/farm.ts";
import { describeCommand, type FarmCall, type Finish, type JsonOption, onFarm, withFarmOptions } from "../command-line.ts";
import type { CliContext } from "../context.ts";
import type { FarmOptions } from "../farm-address.ts";
import { uploadFile } from "../render/upload-file.ts";

type UploadOptions = FarmOptions & JsonOption;

const text = {
  name: "upload",
  group: "files",
  summary: "upload images and clips",
  description:
    "Uploads media and prints the SHA-256 that a render names it by. What the farm has already is not sent; what breaks off goes on where it was.",
  examples: ["vapfarm upload clip.mp4", "vapfarm upload *.png --json | jq -r '.media[].sha256'"],
} as const;

/** Adds the command. */
export function uploadCommand(context: CliContext, finish: Finish): Command {
  return withFarmOptions(describeCommand(text))
    .argument("<files...>", "images or clips")
    .action(onFarm<UploadOptions>(context, finish, uploadAll));
}

async function uploadAll({ context, client, options, args }: FarmCall<UploadOptions>): Promise<undefined> {
  const asJson = options.json === true;
  const media: unknown[] = [];
  for (const file of args) {
    const answer = await uploadFile(context, { path: resolve(context.workingFolder, file), client, asJson });
    if (asJson) media.push({ file, ...(context.toJson(UploadMediaResponse, answer) as object) });
    else context.output.line(`${answer.sha256}  ${file}`);
  }
  if (asJson) context.output.json({ media });
}
