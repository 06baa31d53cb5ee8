/**
 * `vapfarm models pull`: versions of models onto this node, as an init container of a worker runs it.
 */
import { resolve } from "node:path";
import type { Command } from "commander";
import { bytesText } from "../../../domain/bytes-text.ts";
import { toFarmError } from "../../../domain/errors.ts";
import { pinnedReference } from "../../../domain/model-reference.ts";
import { makeFolder } from "../../../platform/make-folder.ts";
import { invalidOption } from "../../ages.ts";
import { describeCommand, type FarmCall, type Finish, onFarm, withFarmOptions } from "../../command-line.ts";
import type { CliContext } from "../../context.ts";
import { type PullOutcome, pullToNode } from "../../models/pull-node.ts";
import { plainText } from "../../table.ts";
import { parallelOf, parseBytes, progressOf, withSource, type TransferOptions, withNodeLock } from "./shared.ts";

type PullOptions = TransferOptions & { readonly to?: string; readonly pool?: string; readonly budget?: string };

const text = {
  name: "pull",
  summary: "bring versions of models onto this node",
  description:
    "Brings versions into a folder that workers mount as VAPFARM_MODELS, each into `<name>@<version>`: those that are named, else every version that an alias or a live job names, what aliases name first and of all of it what fits the budget. What lies there is not brought again, a pull that was killed goes on where it was, and one process at a time does it: others wait, and then find it there.",
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

async function makeRoot(root: string): Promise<void> {
  try {
    await makeFolder(root);
  } catch (thrown) {
    throw invalidOption("--to", `cannot be made: ${toFarmError(thrown).message}`, "name a folder that can be written");
  }
}

async function pull(call: FarmCall<PullOptions>): Promise<undefined> {
  const { context, client, options, args } = call;
  const root = nodeRootOf(context, options.to, "--to");
  const budgetBytes = options.budget === undefined ? undefined : parseBytes("--budget", options.budget);
  const parallel = parallelOf(options.parallel);
  await makeRoot(root);
  const { outcomes, evicted, left } = await withSource(call, (source) =>
    withNodeLock(call, root, (lock) =>
      pullToNode({
        calls: client.calls,
        root,
        references: args,
        pool: options.pool,
        budgetBytes,
        source,
        parallel,
        signal: AbortSignal.any([context.interrupts.signal, lock.lost]),
        onProgress: (reference) => progressOf(context, reference, options.json === true),
      }),
    ),
  );
  const leftOver = left.map(({ name, version, sizeBytes }) => ({ reference: pinnedReference(name, version), bytes: Number(sizeBytes) }));
  if (options.json === true) {
    context.output.json({ versions: outcomes, evicted: evicted.map(({ reference, bytes }) => ({ reference, bytes })), left: leftOver });
    return;
  }
  for (const { reference, bytes } of evicted) context.output.line(plainText(`evicted ${reference}, ${bytesText(bytes)}`));
  for (const outcome of outcomes) context.output.line(plainText(outcomeText(outcome)));
  for (const { reference, bytes } of leftOver) {
    context.output.note(plainText(`${reference} (${bytesText(bytes)}) does not fit into --budget and was not brought: its work waits for another node`));
  }
  if (outcomes.length + left.length === 0) context.output.line(nothingText(options.pool));
}

function nothingText(pool: string | undefined): string {
  return `nothing is needed: no alias and no live job names a version${pool === undefined ? "" : plainText(` of a model of pool ${pool}`)}`;
}

function outcomeText({ reference, folder, bytes, pulledBytes, localBytes, seconds }: PullOutcome): string {
  if (seconds === 0) return `${reference} is there: ${folder}`;
  const local = localBytes === 0 ? "" : `, ${bytesText(localBytes)} of it from other versions here`;
  return `pulled ${reference}, ${bytesText(pulledBytes)} of ${bytesText(bytes)}${local}, in ${seconds.toFixed(1)} s: ${folder}`;
}
