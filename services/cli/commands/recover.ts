/**
 * `vapfarm recover`: after a restore or a failover that lost something, before anyone works with the database.
 */
import type { Command } from "commander";
import { FarmError } from "../../domain/errors.ts";
import { invalidOption } from "../ages.ts";
import { readBackupNote, removeBackupNote } from "../backup/backup-note.ts";
import { requireOwnDatabase } from "../backup/own-database.ts";
import { describeCommand, type Finish, type JsonOption, runBody } from "../command-line.ts";
import type { CliContext } from "../context.ts";
import { dataFolderOf, type DataLayout, layoutOf, readStoreAddress } from "../data-folder.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { outcomeText } from "../recover/outcome-text.ts";
import { recoverFarm, type RecoverOutcome } from "../recover/recover-farm.ts";
import { withDatabaseAlone } from "../up/database-alone.ts";

type RecoverOptions = JsonOption & {
  readonly data?: string;
  readonly yes?: boolean;
  readonly acceptLosses?: boolean;
  readonly deleteOrphans?: boolean;
};

const text = {
  name: "recover",
  group: "machine",
  summary: "after a restore of the database: make the farm fit to go on",
  description: `Raises the farm's epoch, so that workers and coordinators of the lost time are refused; ends their sessions; takes running tasks back,
uncharged; compares the artifact store with the database: what is missing is made again or reported; has the event log's copy made anew. Stop
every coordinator first. Works on DATABASE_URL and VAPFARM_ARTIFACTS, else on \`up\`'s data folder. Changes nothing without --yes.`,
  examples: [
    "vapfarm recover --data /srv/vapfarm",
    "vapfarm recover --data /srv/vapfarm --yes",
    "DATABASE_URL=postgres://user:password@host/vapfarm VAPFARM_ARTIFACTS=folder:/mnt/artifacts vapfarm recover --yes",
  ],
} as const;

/** Adds the command. */
export function recoverCommand(context: CliContext, finish: Finish): Command {
  return describeCommand(text)
    .option("--data <folder>", "data folder of a stopped farm of this machine (else VAPFARM_DATA, else the default of `up`)")
    .option("--yes", "do it; otherwise it is only said what would be done")
    .option("--accept-losses", "go on although more than half of the artifacts are missing")
    .option("--delete-orphans", "delete artifacts that the database knows nothing of")
    .action(async (options: RecoverOptions) => finish(await runBody(context, () => run(context, options), options)));
}

async function run(context: CliContext, options: RecoverOptions): Promise<ExitCode> {
  const { environment, output } = context;
  const url = environment["DATABASE_URL"] ?? "";
  const artifacts = environment["VAPFARM_ARTIFACTS"] ?? "";
  if (url !== "" && artifacts === "") {
    throw new FarmError("CONFIG_INVALID", { message: "VAPFARM_ARTIFACTS is not set: the database is compared with the artifact store" });
  }
  if (url !== "" && options.data !== undefined) {
    throw invalidOption(
      "--data",
      "is given, and DATABASE_URL is set",
      "unset DATABASE_URL to recover the folder's own database, or leave out --data",
    );
  }
  if (url === "")
    await requireOwnDatabase(layoutOf(dataFolderOf(options.data, environment)), "name the data folder with --data, or set DATABASE_URL");
  const outcome =
    url === ""
      ? await withDatabaseAlone(context, { data: options.data, takesRestored: true, isMigrated: true }, ({ url: own, layout }) =>
          recoverFolder({ context, options, layout }, { url: own, artifacts }),
        )
      : await recoverAt(context, options, { url, artifacts });
  if (options.json === true) output.json(outcome);
  else for (const line of outcomeText(outcome)) output.line(line);
  return exitCodes.ok;
}

type Place = { readonly url: string; readonly artifacts: string };
type Folder = { readonly context: CliContext; readonly options: RecoverOptions; readonly layout: DataLayout };

async function recoverFolder({ context, options, layout }: Folder, place: Place): Promise<RecoverOutcome> {
  const note = await readBackupNote(layout);
  if (note?.isWhole === false) {
    throw new FarmError("BACKUP_FAILED", { message: `the backup in ${layout.folder} was not finished: take another` });
  }
  const noted = note?.artifactsAt ?? (await readStoreAddress(layout));
  if (place.artifacts === "" && noted !== undefined) {
    throw new FarmError("CONFIG_INVALID", {
      message: `the farm's artifacts were in ${noted}, not in ${layout.folder}`,
      details: { remedy: "set VAPFARM_ARTIFACTS to where they are now, and for JetStream NATS_URL to a server that has them" },
    });
  }
  const artifacts = place.artifacts === "" ? `folder:${layout.artifacts}` : place.artifacts;
  const outcome = await recoverAt(context, options, { ...place, artifacts });
  if (outcome.isDone) await removeBackupNote(layout);
  return outcome;
}

function recoverAt(
  { environment, output, interrupts, projectFolder }: CliContext,
  options: RecoverOptions,
  place: Place,
): Promise<RecoverOutcome> {
  return recoverFarm({
    ...place,
    environment,
    projectFolder,
    isMeant: options.yes === true,
    acceptsLosses: options.acceptLosses === true,
    deletesOrphans: options.deleteOrphans === true,
    signal: interrupts.signal,
    onNote: (note) => options.json !== true && output.note(note),
  });
}
