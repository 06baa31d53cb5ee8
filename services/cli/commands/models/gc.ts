/**
 * `vapfarm models gc`: versions that nobody needs go, from the farm or from this node.
 */
import type { Command } from "commander";
import { bytesText } from "../../../domain/bytes-text.ts";
import { pinnedReference } from "../../../domain/model-reference.ts";
import { ModelVersionFate } from "../../../gen/proto/vapfarm/v1/models.ts";
import { invalidOption, parseSpan } from "../../ages.ts";
import { describeCommand, type FarmCall, type Finish, onFarm, withFarmOptions } from "../../command-line.ts";
import type { CliContext } from "../../context.ts";
import { tidyNode } from "../../models/node-folder.ts";
import { evictForRoom, versionsNeeded } from "../../models/pull-plan.ts";
import { plainText } from "../../table.ts";
import { nodeRootOf } from "./pull.ts";
import { parseBytes, type TransferOptions, withNodeLock } from "./shared.ts";
import { noVersionText } from "./versions.ts";

type GcOptions = TransferOptions & { readonly dryRun?: boolean; readonly keep: string; readonly in?: string; readonly budget?: string };

const text = {
  name: "gc",
  summary: "remove versions that nobody needs",
  description:
    "Removes versions from the farm that no alias and no live job names and that nobody touched for a while; their chunks then go from the artifact store, unless another version has them. With --in, removes versions from this node instead until the rest fits the budget: never what an alias or a live job names.",
  examples: [
    "vapfarm models gc --dry-run",
    "vapfarm models gc cog --keep 7d",
    "vapfarm models gc --in /var/lib/vapfarm/models --budget 100GiB",
  ],
} as const;

/** Adds the command. */
export function gcCommand(context: CliContext, finish: Finish): Command {
  return withFarmOptions(describeCommand(text))
    .argument("[model]", "only its versions")
    .option("--keep <time>", "keep what was pushed since then", "1d")
    .option("--dry-run", "only say what would go")
    .option("--in <folder>", "of this node: remove from there, not from the farm")
    .option("--budget <size>", "with --in: most bytes that may stay, such as 200GiB")
    .option("--wait <time>", "with --in: how long to wait for another process that changes the folder", "2h")
    .action(onFarm<GcOptions>(context, finish, collect));
}

async function collect(call: FarmCall<GcOptions>): Promise<undefined> {
  if (call.options.in !== undefined) await collectNode(call, call.options.in);
  else await collectFarm(call);
  return undefined;
}

async function collectFarm({ context, client, options, args: [name = ""] }: FarmCall<GcOptions>): Promise<void> {
  const keepSeconds = BigInt(Math.round(parseSpan("--keep", options.keep) / 1_000));
  const isDry = options.dryRun === true;
  const { versions } = await client.calls.removeModelVersions({ name, keepSeconds, dryRun: isDry });
  if (options.json === true) {
    context.output.json({ versions: versions.map((fate) => context.toJson(ModelVersionFate, fate)) });
    return;
  }
  for (const fate of versions) {
    const fateText = fate.keptBy === "" ? (isDry ? "would go" : "removed") : `stays: ${keptText(fate.keptBy)}`;
    context.output.line(plainText(`${pinnedReference(fate.name, fate.version)}  ${bytesText(Number(fate.sizeBytes))}  ${fateText}`));
  }
  if (versions.length === 0) context.output.line(noVersionText(name));
}

function keptText(keptBy: string): string {
  return keptBy === "age" ? "touched not long ago (--keep)" : keptBy;
}

async function collectNode(call: FarmCall<GcOptions>, folder: string): Promise<void> {
  const { context, client, options } = call;
  if (options.budget === undefined) throw invalidOption("--budget", "is missing", "say how many bytes may stay, such as 200GiB");
  const budgetBytes = parseBytes("--budget", options.budget);
  const isDry = options.dryRun === true;
  const root = nodeRootOf(context, folder, "--in");
  const evicted = await withNodeLock(call, root, async () => {
    const { versions: known } = await client.calls.listModelVersions({});
    if (!isDry) await tidyNode(root, versionsNeeded(known, undefined));
    return await evictForRoom({ root, known, wanted: [], neededBytes: 0, budgetBytes, isDry });
  });
  if (options.json === true) {
    context.output.json({ evicted: evicted.map(({ reference, bytes }) => ({ reference, bytes })) });
    return;
  }
  for (const { reference, bytes } of evicted) context.output.line(plainText(`${isDry ? "would evict" : "evicted"} ${reference}, ${bytesText(bytes)}`));
  if (evicted.length === 0) context.output.line("everything fits");
}
