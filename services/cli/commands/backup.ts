/**
 * `vapfarm backup`: a farm of this machine → a folder that it can be started from again.
 */
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { z } from "zod";
import { bytesText } from "../../domain/bytes-text.ts";
import { copyRunningDatabase } from "../../platform/database/base-backup.ts";
import { invalidOption } from "../ages.ts";
import { type Backup, backUp, type BackupRequest } from "../backup/back-up.ts";
import { requireOwnDatabase } from "../backup/own-database.ts";
import { describeCommand, type Finish, type JsonOption, runBody } from "../command-line.ts";
import type { CliContext } from "../context.ts";
import { dataFolderOf, layoutOf, readFarmFile, readStoreAddress } from "../data-folder.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { withDatabaseAlone } from "../up/database-alone.ts";

type BackupOptions = JsonOption & { readonly to: string; readonly data?: string };

const text = {
  name: "backup",
  group: "machine",
  summary: "copy the data of a farm of this machine",
  description: `Copies database and artifacts of \`up\`'s data folder into another folder, while the farm runs or is stopped. Again into the same folder it
copies only what is new. To restore: copy the folder back, \`vapfarm recover\`, \`vapfarm up\`. A Postgres or an artifact store of your own is
backed up with its own tools (deploy/RUNBOOK.md).`,
  examples: ["vapfarm backup --to /backup/vapfarm", "vapfarm backup --data /srv/vapfarm --to /backup/vapfarm --json"],
} as const;

/** Adds the command. */
export function backupCommand(context: CliContext, finish: Finish): Command {
  return describeCommand(text)
    .requiredOption("--to <folder>", "where the backup is written; a new folder, or that of the backup before")
    .option("--data <folder>", "data folder of the farm (else VAPFARM_DATA, else the default of `up`)")
    .action(async (options: BackupOptions) => finish(await runBody(context, () => run(context, options), options)));
}

const ownTools = "name the data folder with --data; a Postgres of your own is backed up with its own tools (deploy/RUNBOOK.md)";
const packageSchema = z.object({ version: z.string() });

async function run(context: CliContext, options: BackupOptions): Promise<ExitCode> {
  const { environment, output, interrupts, projectFolder, workingFolder } = context;
  const layout = layoutOf(dataFolderOf(options.data, environment));
  if (options.to.trim() === "") throw invalidOption("--to", "is empty", "name a new folder, or that of the backup before");
  await requireOwnDatabase(layout, ownTools);
  const { version: release } = packageSchema.parse(JSON.parse(await readFile(join(projectFolder, "package.json"), "utf8")));
  const request: Omit<BackupRequest, "copyDatabase"> = {
    layout,
    to: resolve(workingFolder, options.to),
    artifactsAt: await readStoreAddress(layout),
    release,
    now: new Date(),
    signal: interrupts.signal,
    onStep: (step) => {
      if (options.json !== true && (step === "database" || step === "artifacts")) output.note(`copying ${step}`);
    },
  };
  const copierOf = (url: string) => (target: string) => copyRunningDatabase({ url, folder: layout.postgres, target });
  const running = await readFarmFile(layout.farmFile);
  const backup =
    running === undefined
      ? await withDatabaseAlone(context, { data: options.data, takesRestored: false, isMigrated: false }, ({ url }) =>
          backUp({ ...request, copyDatabase: copierOf(url) }),
        )
      : await backUp({ ...request, copyDatabase: copierOf(running.databaseUrl) });
  if (options.json === true) output.json({ ...backup, folder: request.to });
  else print(context, backup, request.to);
  return exitCodes.ok;
}

function print({ output }: CliContext, backup: Backup, folder: string): void {
  const { artifacts, newArtifacts, artifactBytes, databaseBytes, damaged, artifactsAt } = backup;
  output.line(`${folder}: database ${bytesText(databaseBytes)}, ${artifacts} artifacts ${bytesText(artifactBytes)} (${newArtifacts} new)`);
  if (artifactsAt !== undefined)
    output.note(`artifacts are in ${artifactsAt}, not in this backup: that store is backed up with its own tools`);
  if (damaged.length > 0) output.note(`left out, because their bytes do not have their hash: ${damaged.join(", ")}`);
}
