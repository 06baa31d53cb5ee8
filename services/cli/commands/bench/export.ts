/**
 * `vapfarm bench export`: a run as the files that VBench writes.
 */
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { writeWhole } from "../../../client/whole-file.ts";
import { invalidOption } from "../../ages.ts";
import { readRun } from "../../bench/read-run.ts";
import { vbenchFiles } from "../../bench/vbench-files.ts";
import { describeCommand, type FarmCall, type Finish, type JsonOption, onFarm, withFarmOptions } from "../../command-line.ts";
import type { CliContext } from "../../context.ts";
import type { FarmOptions } from "../../farm-address.ts";

type ExportOptions = FarmOptions & JsonOption & { readonly out: string; readonly name?: string };

const text = {
  name: "export",
  summary: "write a run's scores as VBench's own files",
  description:
    "Writes <name>_eval_results.json and <name>_full_info.json as VBench writes them. A clip is called row_target-seed.mp4, as `bench run --out` names it: what VBench takes off a name to get its prompt is the number of the seed alone; the prompts themselves are in the full info. clip_score is no dimension of VBench's and is not in the files.",
  examples: ["vapfarm bench export 0199a3f2 --out results", "vapfarm bench export 0199a3f2 --out results --name demo-20-steps"],
} as const;

/** Adds the command. */
export function exportCommand(context: CliContext, finish: Finish): Command {
  return withFarmOptions(describeCommand(text))
    .argument("<run>", "run id, or at least 8 characters of it")
    .requiredOption("--out <folder>", "where the files are written")
    .option("--name <text>", "what the files' names begin with (else the run's id)")
    .action(onFarm<ExportOptions>(context, finish, exportRun));
}

async function exportRun({ context, client, options, args: [runId = ""] }: FarmCall<ExportOptions>): Promise<undefined> {
  const { output, interrupts, workingFolder } = context;
  if (options.name !== undefined && !/^[^/\\\0]{1,100}$/.test(options.name)) {
    throw invalidOption("--name", "is no beginning of a file's name", "give 1 to 100 characters without slashes");
  }
  const { run, source } = await readRun(client, runId, interrupts.signal);
  const { evalResults, fullInfo, notes } = vbenchFiles(source.answer, source.items);
  const folder = resolve(workingFolder, options.out);
  const name = options.name ?? run.runId;
  const files = { eval_results: join(folder, `${name}_eval_results.json`), full_info: join(folder, `${name}_full_info.json`) };
  await writeWhole(files.eval_results, (file) => file.writeFile(evalResults));
  await writeWhole(files.full_info, (file) => file.writeFile(fullInfo));
  if (options.json === true) output.json({ runId: run.runId, files, notes });
  else for (const path of Object.values(files)) output.line(path);
  if (options.json !== true) for (const note of notes) output.note(note);
}
