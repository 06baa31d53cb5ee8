/**
 * What the commands of versions share: sizes, progress, and where chunks come from.
 */
import { stat } from "node:fs/promises";
import { bytesText } from "../../../domain/bytes-text.ts";
import { FarmError } from "../../../domain/errors.ts";
import { invalidOption, parseSpan } from "../../ages.ts";
import { type FarmCall, type JsonOption, wholeOf } from "../../command-line.ts";
import type { CliContext } from "../../context.ts";
import type { FarmOptions } from "../../farm-address.ts";
import { type ChunkSource, farmSource, storeSource } from "../../models/chunk-source.ts";
import { openArtifacts } from "../../open-artifacts.ts";
import { type LockOptions, type NodeLock, takeNodeLock } from "../../models/node-lock.ts";

/** Of commands that move bytes. */
export type TransferOptions = FarmOptions & JsonOption & { readonly artifacts?: string; readonly parallel: string; readonly wait: string };

const mostParallel = 64;
const units: Readonly<Record<string, number>> = { "": 1, B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 };

/** "200GiB" as bytes; FIELD_INVALID naming the option for anything else. */
export function parseBytes(option: string, text: string): number {
  const { amount = "", unit = "?" } = /^(?<amount>\d{1,15}(?:\.\d+)?)(?<unit>[KMGT]iB|B|)$/.exec(text)?.groups ?? {};
  const bytes = Math.floor(Number(amount) * (units[unit] ?? Number.NaN));
  if (amount !== "" && Number.isSafeInteger(bytes)) return bytes;
  throw invalidOption(option, `"${text}" is no number of bytes`, "give one such as 500MiB or 200GiB");
}

/** How many chunks at a time. */
export function parallelOf(text: string): number {
  const parallel = wholeOf("--parallel", text, 1);
  if (parallel <= mostParallel) return parallel;
  throw invalidOption("--parallel", `${parallel} is more than ${mostParallel}`, `choose 1 to ${mostParallel}`);
}

export type Progress = { (done: number, total: number): void; end(): void };

/** How far something is, on a terminal only. */
export function progressOf({ output }: CliContext, what: string, asJson: boolean): Progress {
  let shown = -1;
  const tell = (done: number, total: number): void => {
    const percent = total === 0 ? 100 : Math.floor((done * 100) / total);
    if (asJson || !output.isTty || percent === shown) return;
    shown = percent;
    const bar = "#".repeat(Math.floor(percent / 5)).padEnd(20, ".");
    output.errorStream.write(`\r${what} [${bar}] ${percent}% of ${bytesText(total)}\u001b[K`);
  };
  const end = (): void => {
    if (shown >= 0) output.errorStream.write("\r\u001b[K");
    shown = -1;
  };
  return Object.assign(tell, { end });
}

/** Works with a source of chunks: the artifact store where one is named, else the farm. */
export async function withSource<T>(call: FarmCall<TransferOptions>, work: (source: ChunkSource) => Promise<T>): Promise<T> {
  const { context, client, options } = call;
  const address = options.artifacts ?? context.environment["VAPFARM_ARTIFACTS"];
  const { signal } = context.interrupts;
  const onOutage = (): void => {
    if (options.json !== true) context.output.note("the source of chunks does not answer; the pull goes on when it does");
  };
  if (address === undefined || address === "") return await work(farmSource(client.calls, { signal, onOutage }));
  await requireFolderOf(address);
  const store = await openArtifacts(address, { environment: context.environment, name: "vapfarm", logLevel: "warn" });
  try {
    return await work(storeSource(store, { signal, onOutage }));
  } finally {
    await store.close();
  }
}

/** A folder that is to be read from is not made: it would be an empty store, whose chunks all seem to be lost. */
async function requireFolderOf(address: string): Promise<void> {
  const [, folder] = /^folder:(.+)$/.exec(address) ?? [];
  if (folder === undefined || (await stat(folder).catch(() => undefined))?.isDirectory() === true) return;
  throw new FarmError("CONFIG_INVALID", {
    message: `${folder} is no folder: --artifacts (VAPFARM_ARTIFACTS) names the store to read from`,
    details: { remedy: "mount the store there, correct the address, or leave it out to read through the farm" },
  });
}

/** Runs work while this process alone changes the folder. */
export async function withNodeLock<T>(call: FarmCall<TransferOptions>, root: string, work: (lock: NodeLock) => Promise<T>): Promise<T> {
  const { output, interrupts } = call.context;
  const onWait: LockOptions["onWait"] = ({ host, processId, since }) => {
    if (call.options.json !== true) output.note(`waiting for process ${processId} on ${host}, which changes ${root} since ${since}`);
  };
  const lock = await takeNodeLock(root, { signal: interrupts.signal, waitMs: parseSpan("--wait", call.options.wait), onWait });
  try {
    return await work(lock);
  } finally {
    await lock.release();
  }
}
