/**
 * `vapfarm up`: a whole farm on this machine, until Ctrl-C.
 */
import { once } from "node:events";
import type { Command } from "commander";
import { describeCommand, type Finish, repeated, runBody } from "../command-line.ts";
import type { CliContext } from "../context.ts";
import type { FarmFile } from "../data-folder.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import type { Output } from "../output.ts";
import { alignColumns } from "../text-table.ts";
import { type RunningFarm, startFarm } from "../up/running-farm.ts";
import { settingsOf, type UpOptions } from "../up/settings.ts";

const text = {
  name: "up",
  group: "machine",
  summary: "run a whole farm on this machine",
  description: `Starts Postgres, NATS, a coordinator and workers on loopback and keeps them running until Ctrl-C. Queue, results and files survive a
restart. With DATABASE_URL, NATS_URL or VAPFARM_ARTIFACTS set, those are used instead of the embedded ones.`,
  examples: [
    "vapfarm up",
    "vapfarm up --ephemeral --workers 4",
    "vapfarm up --pool cog=demo:2 --pool wan=demo-wan:1",
    "vapfarm up --artifacts jetstream:artifacts",
    "vapfarm up --data /srv/vapfarm --grpc-address 127.0.0.1:7443 --http-address 127.0.0.1:7480",
  ],
} as const;

/** Adds the command. */
export function upCommand(context: CliContext, finish: Finish): Command {
  return describeCommand(text)
    .option("--data <folder>", "data folder (else VAPFARM_DATA, else as root /var/lib/vapfarm, else ~/.local/share/vapfarm)")
    .option("--ephemeral", "keep nothing: a temporary folder, removed at the end; fsync is relaxed")
    .option("--workers <number>", "workers of each pool", "2")
    .addOption(
      repeated(
        "--pool <name=model>",
        "a pool of its own for some models: name=model,model and :workers behind it; one without models renders the rest (else one pool, `local`, renders all)",
      ),
    )
    .option("--threads <number>", "threads of each worker's runtime", "1")
    .option("--models <folder>", "model repository (else VAPFARM_MODELS, else the project's models)")
    .option(
      "--artifacts <address>",
      "artifact store: folder:/path, s3://bucket/prefix or jetstream:bucket (else VAPFARM_ARTIFACTS, else in the data folder)",
    )
    .option("--grpc-address <host:port>", "where the farm answers (else 127.0.0.1 and a free port)")
    .option("--http-address <host:port>", "where its pages and its JSON are served (else 127.0.0.1 and a free port)")
    .action(async (options: UpOptions) => finish(await runBody(context, () => up(context, options), options)));
}

async function up(context: CliContext, options: UpOptions): Promise<ExitCode> {
  const { environment, output, interrupts, projectFolder } = context;
  const note = noteTo(output, options.json === true);
  const settings = settingsOf(options, environment, context);
  const farm = await startFarm({ settings, environment, projectFolder, signal: interrupts.signal, onNote: note });
  try {
    if (options.json === true) output.json({ kind: "ready", ...farm.describe(), dataFolder: farm.layout.folder, logs: farm.layout.logs });
    else printFarm(output, farm, settings.isEphemeral);
    if (!interrupts.signal.aborted) await once(interrupts.signal, "abort");
    note("stopping; once more to end at once");
    hurryOnInterrupt(context, farm, note);
  } finally {
    await farm.stop();
  }
  note("stopped");
  return exitCodes.ok;
}

/** The next interrupt ends the services at once; one more ends this process. */
function hurryOnInterrupt({ interrupts }: CliContext, farm: RunningFarm, note: (text: string) => void): void {
  const release = interrupts.take(() => {
    release();
    note("ending at once");
    farm.hurry();
  });
}

/** For people on stderr; for scripts one JSON line each. */
function noteTo(output: Output, asJson: boolean): (text: string) => void {
  return (line) => {
    if (asJson) output.json({ kind: "note", text: line });
    else output.note(line);
  };
}

/** Where everything is. */
export function printFarm(output: Output, farm: RunningFarm, isEphemeral: boolean): void {
  const description = farm.describe();
  output.line("the farm is up");
  output.line(alignColumns(farmRows(description, farm.layout)));
  const address = isEphemeral ? ` --address ${description.grpcAddress}` : "";
  output.line(`Try: vapfarm workers${address}. Ctrl-C stops everything.`);
}

function farmRows(farm: FarmFile, layout: RunningFarm["layout"]): readonly (readonly string[])[] {
  const listening = farm.processes.filter(({ httpAddress }) => httpAddress !== undefined);
  const pages = listening.find(({ name }) => name === "coordinator")?.httpAddress ?? "";
  return [
    ["  pages", `http://${pages}/`],
    ["  gRPC", farm.grpcAddress],
    ["  HTTP", `http://${pages}/v1/  (described by /v1/openapi.json)`],
    ...listening.map(({ name, httpAddress }) => [`  ${name}`, `http://${httpAddress ?? ""}/metrics  (also /healthz, /readyz)`]),
    ["  Postgres", farm.databaseUrl],
    ["  NATS", farm.natsUrl],
    ["  artifacts", farm.artifacts],
    ["  models", farm.models],
    ["  data", layout.folder],
    ["  logs", layout.logs],
  ];
}
