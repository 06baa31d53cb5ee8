/**
 * `vapfarm migrate`: brings a database up to this release.
 */
import { join } from "node:path";
import type { Command } from "commander";
import { FarmError } from "../../domain/errors.ts";
import { migrate } from "../../platform/database/migrate.ts";
import { describeCommand, type Finish, runBody } from "../command-line.ts";
import type { CliContext } from "../context.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";

type MigrateOptions = { readonly json?: boolean };

const text = {
  name: "migrate",
  group: "machine",
  summary: "apply database migrations",
  description: "Applies what is missing of prisma/migrations to DATABASE_URL, over a direct connection. `up` does this by itself.",
  examples: ["DATABASE_URL=postgres://user:password@host/vapfarm vapfarm migrate"],
} as const;

/** Adds the command. */
export function migrateCommand(context: CliContext, finish: Finish): Command {
  return describeCommand(text).action(async (options: MigrateOptions) =>
    finish(await runBody(context, () => run(context, options), options)),
  );
}

async function run({ environment, output, projectFolder }: CliContext, options: MigrateOptions): Promise<ExitCode> {
  const url = environment["DATABASE_URL"];
  if (url === undefined || url === "") throw new FarmError("CONFIG_INVALID", { message: "DATABASE_URL is not set" });
  const applied = await migrate({ url, folder: join(projectFolder, "prisma", "migrations") });
  if (options.json === true) output.json({ applied });
  else output.line(applied.length === 0 ? "nothing to do: the database is up to date" : `applied ${applied.join(", ")}`);
  return exitCodes.ok;
}
