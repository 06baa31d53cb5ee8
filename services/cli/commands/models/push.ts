/**
 * `vapfarm models push`: a folder becomes a version of a model.
 */
import { resolve } from "node:path";
import type { Command } from "commander";
import { present } from "../../../client/farm-client.ts";
import { bytesText } from "../../../domain/bytes-text.ts";
import { aliasReference, isModelAlias, pinnedReference } from "../../../domain/model-reference.ts";
import { ModelVersion } from "../../../gen/proto/vapfarm/v1/models.ts";
import { invalidOption } from "../../ages.ts";
import { describeCommand, type FarmCall, type Finish, type JsonOption, onFarm, withFarmOptions } from "../../command-line.ts";
import type { CliContext } from "../../context.ts";
import type { FarmOptions } from "../../farm-address.ts";
import { pushVersion } from "../../models/push-version.ts";
import { readFolder } from "../../models/read-folder.ts";
import { plainText } from "../../table.ts";
import { parallelOf, progressOf } from "./shared.ts";

type PushOptions = FarmOptions &
  JsonOption & { readonly name?: string; readonly alias?: string; readonly resend?: boolean; readonly parallel: string };

const text = {
  name: "push",
  summary: "make a folder a version of a model",
  description:
    "Sends a model's folder to the farm as an immutable version, named by the hash of its files, through the coordinator: no key of the artifact store is needed. What the farm has already is not sent, and a push that broke off goes on where it was. Nobody can name the version before all of it is there.",
  examples: [
    "vapfarm models push models/vap-cogvideox",
    "vapfarm models push models/vap-cogvideox --name cog --alias prod",
    "vapfarm models push models/demo --json | jq -r .version.version",
  ],
} as const;

/** Adds the command. */
export function pushCommand(context: CliContext, finish: Finish): Command {
  return withFarmOptions(describeCommand(text))
    .argument("<folder>", "with the farm.json that vapfarm-export wrote")
    .option("--name <text>", "of the model (else as farm.json says)")
    .option("--alias <alias>", "moved to the version once it is there, such as prod")
    .option("--resend", "send every chunk again, to mend what the artifact store lost or damaged")
    .option("--parallel <number>", "chunks on their way at a time", "4")
    .action(onFarm<PushOptions>(context, finish, push));
}

async function push({ context, client, options, args: [folder = ""] }: FarmCall<PushOptions>): Promise<undefined> {
  const asJson = options.json === true;
  const { alias } = options;
  if (alias !== undefined && !isModelAlias(alias)) throw invalidOption("--alias", `"${alias}" is no alias`, "give one such as prod");
  const { signal } = context.interrupts;
  const reading = progressOf(context, "reading", asJson);
  const read = await readFolder(resolve(context.workingFolder, folder), { name: options.name, signal, onProgress: reading }).finally(() => reading.end());
  const sending = progressOf(context, "sending", asJson);
  const onOutage = (): void => {
    if (!asJson) context.output.note("the farm does not answer; the push goes on when it does");
  };
  const settings = { signal, parallel: parallelOf(options.parallel), resend: options.resend === true, onProgress: sending, onOutage };
  const pushed = await pushVersion(client.calls, read, settings).finally(() => sending.end());
  const { name, version } = pushed.version;
  const moved = alias === undefined ? undefined : present((await client.calls.setModelAlias({ name, alias, version })).alias, "alias");
  if (asJson) {
    const told = { ...pushed.version, aliases: [...new Set([...pushed.version.aliases, ...(moved === undefined ? [] : [moved.alias])])] };
    context.output.json({ version: context.toJson(ModelVersion, told), sentBytes: pushed.sentBytes, sentChunks: pushed.sentChunks });
    return;
  }
  const sent = pushed.sentBytes === 0 ? "nothing had to be sent" : `${bytesText(pushed.sentBytes)} were sent`;
  const size = bytesText(Number(pushed.version.sizeBytes));
  context.output.line(plainText(`pushed ${pinnedReference(name, version)}, ${size}; ${sent}`));
  if (moved !== undefined) context.output.line(plainText(`${aliasReference(name, moved.alias)} is ${moved.version} now`));
}
