/**
 * `vapfarm bench import`: a CSV file with the clips that it names becomes a suite.
 */
import { basename } from "node:path";
import type { Command } from "commander";
import { maxInt64 } from "../../../domain/field-rules.ts";
import { Suite } from "../../../gen/proto/vapfarm/v1/bench.ts";
import { invalidOption } from "../../ages.ts";
import { readSuite, type SuiteSource } from "../../bench/read-suite.ts";
import { uploadSuite } from "../../bench/upload-suite.ts";
import { describeCommand, type Finish, type JsonOption, runBody, withFarmOptions } from "../../command-line.ts";
import type { CliContext } from "../../context.ts";
import { type ExitCode, exitCodes } from "../../exit-codes.ts";
import { type FarmOptions, withFarm } from "../../farm-address.ts";
import { plainText } from "../../table.ts";

/** Where a suite's file is read from. */
export type SuiteFileOptions = { readonly root?: string; readonly name?: string; readonly seed: string };
export type ImportOptions = FarmOptions & JsonOption & SuiteFileOptions & { readonly root: string; readonly dryRun?: boolean };

const text = {
  name: "import",
  summary: "make a suite of a CSV file and its clips",
  description:
    "Reads VAP-Data's benchmark.csv (video_paths, ref_video_path, tar_video_caption, ref_video_caption) or vap_data.csv (video_paths, ref_video_paths as JSON lists, tar_video_caption, kind), each with an optional seed column. Every row is checked and every clip decoded before anything is sent; all faults are told with line and column. A suite never changes: its id is the hash of its rows.",
  examples: [
    "vapfarm bench import benchmark.csv --root VAP-Data",
    "vapfarm bench import benchmark.csv --root VAP-Data --dry-run",
    "vapfarm bench import vap_data.csv --root VAP-Data --name vfx --seed 7",
  ],
} as const;

/** Adds what says where a suite's file is. */
export function withSuiteFileOptions(command: Command): Command {
  return command
    .option("--name <text>", "what people call it (else the file's name)")
    .option("--seed <number>", "what seeds of rows without one are made from, 0 to 2^63-1", "42");
}

/** Adds the command. */
export function importCommand(context: CliContext, finish: Finish): Command {
  return withSuiteFileOptions(withFarmOptions(describeCommand(text)))
    .argument("<file>", "CSV file")
    .requiredOption("--root <folder>", "folder that the paths in it are relative to")
    .option("--dry-run", "check everything, send nothing")
    .action(async (file: string, options: ImportOptions) =>
      finish(await runBody(context, () => importSuite(context, file, options), options)),
    );
}

/** How a file is read, as its options say. */
export function suiteSourceOf(file: string, options: SuiteFileOptions & JsonOption): Omit<SuiteSource, "isDecoded"> {
  const { root = ".", name, seed, json } = options;
  const baseSeed = /^\d{1,19}$/.test(seed) ? BigInt(seed) : maxInt64 + 1n;
  if (baseSeed > maxInt64) throw invalidOption("--seed", `"${seed}" is no seed`, "give a whole number from 0 to 2^63-1");
  return { file, root, name, baseSeed, asJson: json === true };
}

/** Reads, checks and hands in a suite. */
export async function importSuite(context: CliContext, file: string, options: ImportOptions): Promise<ExitCode> {
  const { output } = context;
  const local = await readSuite(context, { ...suiteSourceOf(file, options), isDecoded: true });
  const counts = { rows: local.rows.length, clips: local.files.length };
  if (options.dryRun === true) {
    if (options.json === true) output.json({ dryRun: true, suiteId: local.suiteId, name: local.name, ...counts });
    else output.line(plainText(`right, nothing was sent: ${counts.rows} rows, ${counts.clips} clips, suite ${local.suiteId}`));
    return exitCodes.ok;
  }
  const uploaded = await withFarm(context, options, (client) =>
    uploadSuite(context, local, { client, fileName: basename(file), asJson: options.json === true }),
  );
  const { suite, existed } = uploaded;
  if (options.json === true) {
    output.json({ suite: context.toJson(Suite, suite), existed });
    return exitCodes.ok;
  }
  output.line(plainText(`suite ${suite.suiteId} ${existed ? "was there already" : "stored"}: ${suite.name}, ${suite.rowCount} rows`));
  output.note(`run it: vapfarm bench run ${suite.suiteId.slice(0, 12)} --model <model>`);
  return exitCodes.ok;
}
