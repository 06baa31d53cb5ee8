/** A process that owns a Postgres on the folder it is given, prints its URL and then does nothing: tests kill it. */
import { startPostgres } from "../../services/platform/programs/postgres.ts";

const server = await startPostgres({ folder: process.argv[2] ?? "", ephemeral: false });
process.stdout.write(`${server.url}\n`);
setInterval(() => undefined, 60_000);
