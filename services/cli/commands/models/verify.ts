/**
 * `vapfarm models verify`: every hash of the versions that lie on this node.
 */
import { readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { bytesText } from "../../../domain/bytes-text.ts";
import { FarmError } from "../../../domain/errors.ts";
import { describeCommand, type FarmCall, type Finish, onFarm, withFarmOptions } from "../../command-line.ts";
import type { CliContext } from "../../context.ts";
import { type Checked, checkFolder, repairFiles } from "../../models/check-version.ts";
import { plainText } from "../../table.ts";
import { withTransferOptions } from "./pull.ts";
import { progressOf, withSource, type TransferOptions, withNodeLock } from "./shared.ts";

type VerifyOptions = TransferOptions & { readonly repair?: boolean };

const text = {
  name: "verify",
  summary: "check every file of the models on this node",
  description:
    "Hashes every file of a folder of models, or of one model in it, and names each that is not what was pushed (of a plain folder: what farm.json says). With --repair, bad files of versions are made anew: only chunks that are bad are brought. Ends with 1 where something is bad and stays so.",
  examples: [
    "vapfarm models verify /var/lib/vapfarm/models",
    "vapfarm models verify models/cog@1a2b3c4d5e6f --repair",
    "vapfarm models verify models --json | jq '.folders[] | select(.bad != [])'",
  ],
} as const;

/** Adds the command. */
export function verifyCommand(context: CliContext, finish: Finish): Command {
  return withTransferOptions(withFarmOptions(describeCommand(text)))
    .argument("<folder>", "of models, or of one of them")
    .option("--repair", "bring what is bad again")
    .action(onFarm<VerifyOptions>(context, finish, verify));
}

type Verdict = Checked & { readonly repairedBytes: number | undefined };

async function verify(call: FarmCall<VerifyOptions>): Promise<undefined> {
  const { context, options, args } = call;
  const given = resolve(context.workingFolder, args[0] ?? "");
  const isModel = await isFile(join(given, "farm.json"));
  const folders = isModel ? [given] : await modelsBelow(given);
  const work = (): Promise<readonly Verdict[]> => verifyAll(call, folders);
  const verdicts = options.repair === true ? await withNodeLock(call, isModel ? join(given, "..") : given, work) : await work();
  if (options.json === true) context.output.json({ folders: verdicts.map(verdictToJson) });
  else for (const verdict of verdicts) tell(context, verdict);
  const damaged = verdicts.filter(({ bad, repairedBytes }) => bad.length > 0 && repairedBytes === undefined);
  if (damaged.length === 0) return;
  const files = damaged.reduce((sum, { bad }) => sum + bad.length, 0);
  throw new FarmError("MODEL_FILES_DAMAGED", { message: `${files} files of ${damaged.map(({ reference }) => reference).join(", ")} are bad` });
}

async function verifyAll(call: FarmCall<VerifyOptions>, folders: readonly string[]): Promise<readonly Verdict[]> {
  const { context, options } = call;
  const verdicts: Verdict[] = [];
  for (const folder of folders) {
    let done = 0;
    const progress = progressOf(context, `checking ${folder}`, options.json === true);
    const total = await sizeOf(folder);
    const onBytes = (bytes: number): void => progress((done += bytes), total);
    const checked = await checkFolder(folder, { signal: context.interrupts.signal, onBytes }).finally(() => progress.end());
    verdicts.push({ ...checked, repairedBytes: options.repair === true ? await repair(call, checked) : undefined });
  }
  return verdicts;
}

/** How many bytes were brought; undefined where nothing could be mended. */
async function repair(call: FarmCall<VerifyOptions>, checked: Checked): Promise<number | undefined> {
  const { version, bad } = checked;
  if (bad.length === 0 || version === undefined) return undefined;
  return await withSource(call, (source) => repairFiles({ ...checked, version }, source, call.context.interrupts.signal));
}

function verdictToJson({ folder, reference, files, bytes, bad, repairedBytes }: Verdict): object {
  return { folder, reference, files, bytes, bad, ...(repairedBytes === undefined ? {} : { repairedBytes }) };
}

function tell({ output }: CliContext, { folder, reference, files, bytes, bad, version, repairedBytes }: Verdict): void {
  if (bad.length === 0) output.line(plainText(`${reference}: ${files} files, ${bytesText(bytes)}, all right`));
  for (const { path, reason } of bad) output.line(plainText(`${reference}: ${folder}/${path} ${reason}`));
  if (repairedBytes !== undefined) output.line(plainText(`${reference}: repaired, ${bytesText(repairedBytes)} were brought`));
  else if (bad.length > 0 && version === undefined) output.line(plainText(`${reference} is a plain folder: copy or export it again`));
}

async function modelsBelow(root: string): Promise<readonly string[]> {
  const names = await readdir(root).catch((cause: unknown) => {
    throw new FarmError("MODEL_INVALID", { message: `${root} cannot be read`, cause });
  });
  const found: string[] = [];
  for (const name of names.toSorted()) {
    if (!name.startsWith(".") && (await isFile(join(root, name, "farm.json")))) found.push(join(root, name));
  }
  if (found.length === 0) throw new FarmError("MODEL_INVALID", { message: `${root} holds no models` });
  return found;
}

async function sizeOf(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name))).size;
  }
  return bytes;
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

