/**
 * The database of a stopped farm's data folder, without the farm: for what must not happen while it works.
 */
import { join } from "node:path";
import { migrate } from "../../platform/database/migrate.ts";
import type { CliContext } from "../context.ts";
import type { DataLayout } from "../data-folder.ts";
import { claimFolder } from "./claim-folder.ts";
import { beginPostgres } from "./embedded.ts";
import { settingsOf } from "./settings.ts";

/** A database that nobody else uses. */
export type LoneDatabase = { readonly url: string; readonly layout: DataLayout };

type Asked = {
  readonly data: string | undefined;
  /** Whether a folder that was restored is taken. */
  readonly takesRestored: boolean;
  readonly isMigrated: boolean;
};

/** Runs the work with the folder's lock held and its Postgres started, and ends that afterwards. */
export async function withDatabaseAlone<T>(context: CliContext, asked: Asked, work: (database: LoneDatabase) => Promise<T>): Promise<T> {
  const { environment, output, projectFolder } = context;
  const settings = settingsOf(asked.data === undefined ? {} : { data: asked.data }, environment, context);
  const undo: (() => Promise<void>)[] = [];
  try {
    const claim = { settings, environment, takesRestored: asked.takesRestored, onNote: (text: string) => output.note(text) };
    const layout = await claimFolder(claim, undo);
    const postgres = await beginPostgres({ settings, layout, searchPath: environment["PATH"] }, undefined);
    undo.push(() => postgres.stop());
    const url = postgres.facts["url"] ?? "";
    if (asked.isMigrated) await migrate({ url, folder: join(projectFolder, "prisma", "migrations") });
    return await work({ url, layout });
  } finally {
    for (const step of undo.reverse()) await step();
  }
}
