/**
 * `vapfarm download` and `vapfarm url`: what a render made, or what it started from.
 */
import { resolve } from "node:path";
import type { Command } from "commander";
import type { ByteRange } from "../../client/download.ts";
import type { FarmClient } from "../../client/farm-client.ts";
import { FarmError } from "../../domain/errors.ts";
import { Artifact, GetArtifactUrlResponse } from "../../gen/proto/vapfarm/v1/farm.ts";
import { invalidOption, parseSpan, timeTexts } from "../ages.ts";
import { describeCommand, type FarmCall, type Finish, type JsonOption, onFarm, wholeOf, withFarmOptions } from "../command-line.ts";
import type { CliContext } from "../context.ts";
import type { FarmOptions } from "../farm-address.ts";
import { renderOutputPath } from "../render/output-path.ts";
import { bytesText } from "../../domain/bytes-text.ts";

type DownloadOptions = FarmOptions & JsonOption & { readonly render: string; readonly range?: string; readonly out?: string };
type UrlOptions = FarmOptions & JsonOption & { readonly render: string; readonly lifetime: string };

const downloadText = {
  name: "download",
  group: "files",
  summary: "download what a render made",
  description:
    "Downloads an artifact of a render (mp4, latents, frames, or what it started from: input_image, input_reference_1 ..), or all that it made when no name is given. A file appears whole, its hash checked, or not at all; what breaks off goes on where it was.",
  examples: [
    "vapfarm download 0199a3f2-...",
    "vapfarm download 0199a3f2-... mp4 --render 3 --out result.mp4",
    "vapfarm download 0199a3f2-... mp4 --out - | ffplay -",
    "vapfarm download 0199a3f2-... latents --range 0-1023 --out head.bin",
  ],
} as const;
const urlText = {
  name: "url",
  group: "files",
  summary: "print an address that anyone can download an artifact from",
  description: "Prints a signed address of one artifact: it serves GET with ranges, without credentials, for a short time.",
  examples: ["vapfarm url 0199a3f2-... mp4", 'curl -o result.mp4 "$(vapfarm url 0199a3f2-... mp4 --lifetime 10m)"'],
} as const;

/** Adds the command. */
export function downloadCommand(context: CliContext, finish: Finish): Command {
  return withFarmOptions(describeCommand(downloadText))
    .argument("<job>", "job id")
    .argument("[name]", "artifact (else all that the render made)")
    .option("--render <position>", "of the job, from 0 on", "0")
    .option("--range <from-to>", "bytes, both inclusive, such as 0-1023 or 1024-")
    .option("--out <path>", "file, folder when no name is given, or - for stdout (else named by job and artifact)")
    .action(onFarm<DownloadOptions>(context, finish, download));
}

/** Adds the command. */
export function urlCommand(context: CliContext, finish: Finish): Command {
  return withFarmOptions(describeCommand(urlText))
    .argument("<job>", "job id")
    .argument("<name>", "artifact, such as mp4")
    .option("--render <position>", "of the job, from 0 on", "0")
    .option("--lifetime <time>", "how long it holds, at most 1h", "5m")
    .action(onFarm<UrlOptions>(context, finish, printUrl));
}

async function download(call: FarmCall<DownloadOptions>): Promise<undefined> {
  const { context, client, options, args } = call;
  const [jobId = "", name] = args;
  const position = wholeOf("--render", options.render);
  if (options.out === "-") return toStdout(call, position);
  const range = options.range === undefined ? undefined : rangeOf(options.range);
  if (range !== undefined && name === undefined) throw invalidOption("--range", "no artifact was named", "name the artifact");
  const names = name === undefined ? await producedNames(client, jobId, position) : [name];
  const folder = resolve(context.workingFolder, name === undefined ? (options.out ?? ".") : ".");
  const artifacts: unknown[] = [];
  for (const each of names) {
    const id = position === 0 ? jobId : `${jobId}.${position}`;
    const own = name === undefined ? undefined : options.out;
    const path = own === undefined ? renderOutputPath(folder, id, each) : resolve(context.workingFolder, own);
    const artifact = await client.download({ jobId, name: each, position, range, path }, { signal: context.interrupts.signal });
    if (options.json === true) artifacts.push({ path, ...(context.toJson(Artifact, artifact) as object) });
    else context.output.line(`${each}: ${path} (${range === undefined ? bytesText(Number(artifact.sizeBytes)) : "a range"})`);
  }
  if (options.json === true) context.output.json({ artifacts });
}

async function producedNames(client: FarmClient, jobId: string, position: number): Promise<readonly string[]> {
  const { artifacts } = await client.getRender(jobId, position);
  if (artifacts.length > 0) return artifacts.map(({ name }) => name);
  throw new FarmError("ARTIFACT_UNKNOWN", {
    message: `render ${position} of job ${jobId} has made nothing yet`,
    details: { remedy: `see how far it is: vapfarm job ${jobId} --render ${position}` },
  });
}

async function toStdout(
  { context, client, options, args: [jobId = "", name] }: FarmCall<DownloadOptions>,
  position: number,
): Promise<undefined> {
  if (name === undefined) throw invalidOption("--out", "stdout takes one artifact, and none was named", "name the artifact");
  const range = options.range === undefined ? undefined : rangeOf(options.range);
  for await (const chunk of client.read({ jobId, name, position, range }, { signal: context.interrupts.signal })) {
    await context.output.write(chunk);
  }
}

/** "0-1023", "1024-": both ends inclusive, as HTTP spells it. */
function rangeOf(text: string): ByteRange {
  const [, from, to] = /^(\d{1,15})-(\d{0,15})$/.exec(text) ?? [];
  const offset = Number(from);
  const length = to === undefined || to === "" ? undefined : Number(to) - offset + 1;
  if (from !== undefined && (length === undefined || length > 0)) return { offset, length };
  throw invalidOption("--range", `"${text}" is no range`, "give bytes such as 0-1023 or 1024-");
}

async function printUrl({ context, client, options, args: [jobId = "", name = ""] }: FarmCall<UrlOptions>): Promise<undefined> {
  const { output } = context;
  const lifetimeSeconds = Math.ceil(parseSpan("--lifetime", options.lifetime) / 1000);
  const answer = await client.calls.getArtifactUrl({ jobId, name, renderPosition: wholeOf("--render", options.render), lifetimeSeconds });
  if (options.json === true) {
    output.json(context.toJson(GetArtifactUrlResponse, answer));
    return;
  }
  output.line(answer.url);
  output.note(`holds until ${timeTexts(false, new Date())(answer.expireTime)}`);
}
