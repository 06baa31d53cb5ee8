/**
 * `vapfarm migrate`: brings a database up to this release, or tells whether it is.
 */
import { join } from "node:path";
import type { Command } from "commander";
import { FarmError } from "../../domain/errors.ts";
import { migrate } from "../../platform/database/migrate.ts";
import { requireMigrations } from "../../platform/database/pending-migrations.ts";
import { waitForDatabase } from "../../platform/database/wait.ts";
import { parseSpan } from "../ages.ts";
import { describeCommand, type Finish, runBody } from "../command-line.ts";
import type { CliContext } from "../context.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";

type MigrateOptions = { readonly json?: boolean; readonly check?: boolean; readonly wait: string };

const text = {
  name: "migrate",
  group: "machine",
  summary: "apply database migrations",
  description: `Applies what is missing of prisma/migrations to DATABASE_URL, over a direct connection. \`up\` does this by itself. With --check nothing
is applied: it fails while a migration is missing.`,
  examples: [
    "DATABASE_URL=postgres://user:password@host/vapfarm vapfarm migrate",
    "DATABASE_URL=postgres://user:password@host/vapfarm vapfarm migrate --check --wait 10m",
  ],
} as const;

/** Adds the command. */
export function migrateCommand(context: CliContext, finish: Finish): Command {
  return describeCommand(text)
    .option("--check", "apply nothing, only tell whether a migration is missing")
    .option("--wait <time>", "try again for so long: until Postgres answers, with --check until somebody has migrated it", "0s")
    .action(async (options: MigrateOptions) => finish(await runBody(context, () => run(context, options), options)));
}

async function run(context: CliContext, options: MigrateOptions): Promise<ExitCode> {
  const { environment, output, projectFolder, interrupts } = context;
  const url = environment["DATABASE_URL"];
  if (url === undefined || url === "") throw new FarmError("CONFIG_INVALID", { message: "DATABASE_URL is not set" });
  const database = { url, folder: join(projectFolder, "prisma", "migrations") };
  const passing = options.check === true ? ["DATABASE_UNAVAILABLE", "DATABASE_SCHEMA_OLD"] : ["DATABASE_UNAVAILABLE"];
  const wait = {
    ms: parseSpan("--wait", options.wait),
    isPassing: ({ code }: FarmError) => passing.includes(code),
    onWait: ({ message }: FarmError) => output.note(`waiting: ${message}`),
    signal: interrupts.signal,
  };
  if (options.check === true) {
    await waitForDatabase(() => requireMigrations(database), wait);
    if (options.json === true) output.json({ missing: [] });
    else output.line("the database is up to date");
    return exitCodes.ok;
  }
  const applied = await waitForDatabase(() => migrate(database), wait);
  if (options.json === true) output.json({ applied });
  else output.line(applied.length === 0 ? "nothing to do: the database is up to date" : `applied ${applied.join(", ")}`);
  return exitCodes.ok;
}
