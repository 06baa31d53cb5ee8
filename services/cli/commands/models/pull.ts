/**
 * `vapfarm models pull`: versions of models onto this node, as an init container of a worker runs it.
 */
import { mkdir, rm, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { bytesText } from "../../../domain/bytes-text.ts";
import { pinnedReference } from "../../../domain/model-reference.ts";
import { bytesOf } from "../../../domain/model-version.ts";
import type { HeldVersion } from "../../../domain/node-budget.ts";
import type { ModelVersion } from "../../../gen/proto/vapfarm/v1/models.ts";
import { invalidOption } from "../../ages.ts";
import { describeCommand, type FarmCall, type Finish, onFarm, withFarmOptions } from "../../command-line.ts";
import type { CliContext } from "../../context.ts";
import { type ChunkSource, withLocal } from "../../models/chunk-source.ts";
import { chunksHeld, listNode, markUsed, placeOf, tidyNode, type VersionOnDisk } from "../../models/node-folder.ts";
import type { NodeLock } from "../../models/node-lock.ts";
import { evictForRoom, versionsNeeded } from "../../models/pull-plan.ts";
import { pullVersion } from "../../models/pull-version.ts";
import { plainText } from "../../table.ts";
import { parallelOf, parseBytes, progressOf, withSource, type TransferOptions, versionToPull, withNodeLock } from "./shared.ts";

type PullOptions = TransferOptions & { readonly to?: string; readonly pool?: string; readonly budget?: string };

const text = {
  name: "pull",
  summary: "bring versions of models onto this node",
  description:
    "Brings versions into a folder that workers mount as VAPFARM_MODELS, each into `<name>@<version>`: those that are named, else every version that an alias or a live job names. What lies there is not brought again, a pull that was killed goes on where it was, and one process at a time does it: others wait, and then find it there.",
  examples: [
    "vapfarm models pull --pool gpu --to /var/lib/vapfarm/models --budget 200GiB",
    "vapfarm models pull cog@prod --to models",
    "vapfarm models pull cog:1a2b3c4d5e6f --to models --artifacts s3://bucket/prefix",
  ],
} as const;

/** Adds the command. */
export function pullCommand(context: CliContext, finish: Finish): Command {
  return withTransferOptions(withFarmOptions(describeCommand(text)))
    .argument("[model...]", "<name>, <name>@<alias> or <name>:<version>")
    .option("--to <folder>", "where versions lie on this node (else VAPFARM_MODELS)")
    .option("--pool <name>", "without a model: only what this pool renders")
    .option("--budget <size>", "most bytes of all versions there, such as 200GiB; who nobody needs goes, least recently used first")
    .action(onFarm<PullOptions>(context, finish, pull));
}

/** Options of every command that brings chunks. */
export function withTransferOptions(command: Command): Command {
  return command
    .option("--artifacts <address>", "artifact store to read from (else VAPFARM_ARTIFACTS, else through the farm)")
    .option("--parallel <number>", "chunks on their way at a time", "4")
    .option("--wait <time>", "how long to wait for another process that changes the folder", "2h");
}

/** Where versions lie on this node. */
export function nodeRootOf(context: CliContext, given: string | undefined, option: string): string {
  const root = given ?? context.environment["VAPFARM_MODELS"];
  if (root !== undefined && root !== "") return resolve(context.workingFolder, root);
  throw invalidOption(option, "is missing", "name the node's folder of models, or set VAPFARM_MODELS");
}

/** What became of one version. */
type Outcome = { readonly reference: string; readonly folder: string; readonly bytes: number; readonly pulledBytes: number; readonly localBytes: number; readonly keptBytes: number; readonly seconds: number };

async function pull(call: FarmCall<PullOptions>): Promise<undefined> {
  const { context, options } = call;
  const root = nodeRootOf(context, options.to, "--to");
  const budgetBytes = options.budget === undefined ? undefined : parseBytes("--budget", options.budget);
  parallelOf(options.parallel);
  await mkdir(root, { recursive: true });
  const { outcomes, evicted } = await withSource(call, (source) =>
    withNodeLock(call, root, (lock) => pullAll(call, { root, budgetBytes, source, lock })),
  );
  if (options.json === true) {
    context.output.json({ versions: outcomes, evicted: evicted.map(({ reference, bytes }) => ({ reference, bytes })) });
    return;
  }
  for (const { reference, bytes } of evicted) context.output.line(plainText(`evicted ${reference}, ${bytesText(bytes)}`));
  for (const outcome of outcomes) context.output.line(plainText(outcomeText(outcome)));
  if (outcomes.length === 0) context.output.line("nothing is needed: no alias and no live job names a version");
}

function outcomeText({ reference, folder, bytes, pulledBytes, localBytes, seconds }: Outcome): string {
  if (seconds === 0) return `${reference} is there: ${folder}`;
  const local = localBytes === 0 ? "" : `, ${bytesText(localBytes)} of it from other versions here`;
  return `pulled ${reference}, ${bytesText(pulledBytes)} of ${bytesText(bytes)}${local}, in ${seconds.toFixed(1)} s: ${folder}`;
}

type Node = { readonly root: string; readonly budgetBytes: number | undefined; readonly source: ChunkSource; readonly lock: NodeLock };

async function pullAll(call: FarmCall<PullOptions>, node: Node): Promise<{ outcomes: readonly Outcome[]; evicted: readonly HeldVersion[] }> {
  const { client, options, args } = call;
  const { versions: known } = await client.calls.listModelVersions({});
  const named = args.length > 0 ? args : versionsNeeded(known, options.pool).map(({ name, version }) => pinnedReference(name, version));
  const wanted: VersionOnDisk[] = [];
  for (const reference of named) wanted.push(await versionToPull(client.calls, reference));
  // As gc: a half of any version that the farm knows is somebody's who will go on with it, the next init container's for one.
  await tidyNode(node.root, [...known, ...wanted]);
  const evicted = await makeRoomFor(node, wanted, known);
  const outcomes: Outcome[] = [];
  for (const version of wanted) outcomes.push(await pullOne(call, node, version));
  return { outcomes, evicted };
}

async function makeRoomFor({ root, budgetBytes }: Node, wanted: readonly VersionOnDisk[], known: readonly ModelVersion[]): Promise<readonly HeldVersion[]> {
  if (budgetBytes === undefined) return [];
  const here = new Set((await listNode(root)).map(({ reference }) => reference));
  const references = wanted.map(({ name, version }) => pinnedReference(name, version));
  const neededBytes = wanted.reduce((sum, { files }, index) => sum + (here.has(references[index] ?? "") ? 0 : bytesOf(files)), 0);
  return await evictForRoom({ root, known, wanted: references, neededBytes, budgetBytes, isDry: false });
}

async function pullOne({ context, options }: FarmCall<PullOptions>, node: Node, version: VersionOnDisk): Promise<Outcome> {
  const { root, source, lock } = node;
  const reference = pinnedReference(version.name, version.version);
  const told = { reference, folder: placeOf(root, version), bytes: bytesOf(version.files) };
  const here = await listNode(root);
  if (here.some((each) => each.reference === reference)) {
    await markUsed(root, version);
    return { ...told, pulledBytes: 0, localBytes: 0, keptBytes: told.bytes, seconds: 0 };
  }
  await clearPlace(told.folder);
  let localBytes = 0;
  const local = withLocal(source, chunksHeld(here), (bytes) => (localBytes += bytes));
  const onProgress = progressOf(context, reference, options.json === true);
  const signal = AbortSignal.any([context.interrupts.signal, lock.lost]);
  const pulling = { root, source: local, signal, parallel: parallelOf(options.parallel), onProgress };
  const { keptBytes, writtenBytes, seconds } = await pullVersion(version, pulling).finally(() => onProgress.end());
  await markUsed(root, version);
  return { ...told, keptBytes, localBytes, pulledBytes: writtenBytes - localBytes, seconds };
}

/** What has a version's name and is none, which no pull leaves: in the way of one. */
async function clearPlace(folder: string): Promise<void> {
  if ((await stat(join(folder, ".")).catch(() => undefined)) !== undefined) await rm(folder, { recursive: true });
}
