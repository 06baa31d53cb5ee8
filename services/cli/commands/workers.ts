/**
 * `vapfarm workers`: who works on the farm, and on what; cordon, uncordon and drain.
 */
import type { Command } from "commander";
import { present } from "../../client/farm-client.ts";
import { Worker } from "../../gen/proto/vapfarm/v1/farm.ts";
import { HealthState } from "../../gen/proto/vapfarm/v1/operator.ts";
import { type TimeText, timeTexts } from "../ages.ts";
import {
  describeCommand,
  type FarmCall,
  type Finish,
  type JsonOption,
  onFarm,
  type WatchOptions,
  withFarmOptions,
  withWatchOptions,
} from "../command-line.ts";
import type { CliContext } from "../context.ts";
import type { ExitCode } from "../exit-codes.ts";
import type { FarmOptions } from "../farm-address.ts";
import { eachOf, showList } from "../json-list.ts";
import type { Output } from "../output.ts";
import { type Column, plainText, renderTable } from "../table.ts";
import { bytesText } from "../../domain/bytes-text.ts";
import { healthStateWord, stateCell, workerStatesOf, workerStateWord } from "../words.ts";
import { clearCommand, cordonCommand, drainCommand, uncordonCommand } from "./workers-steer.ts";

type WorkersOptions = FarmOptions & JsonOption & WatchOptions & { readonly pool?: string; readonly state?: string };

const text = {
  name: "workers",
  group: "operate",
  summary: "list the farm's workers; show, cordon, drain or clear one",
  description: "Lists the workers that the farm knows: pool, profile, state, what each is running.",
  examples: [
    "vapfarm workers",
    "vapfarm workers --state idle,busy --watch",
    "vapfarm workers --json | jq '.workers[].name'",
    "vapfarm workers drain worker-1 --grace 5m --wait",
  ],
} as const;
const showText = {
  name: "show",
  summary: "show one worker",
  description: "Shows one worker: its place, device, models, and what it runs.",
  examples: ["vapfarm workers show worker-1"],
} as const;

/** Adds the command. */
export function workersCommand(context: CliContext, finish: Finish): Command {
  const command = withWatchOptions(withFarmOptions(describeCommand(text)))
    .option("--pool <name>", "only those of this pool")
    .option("--state <list>", "of idle,busy,draining,lost,stopped")
    .action(onFarm<WorkersOptions>(context, finish, listWorkers))
    // The options after a subcommand's name are the subcommand's.
    .enablePositionalOptions();
  command.addCommand(
    withFarmOptions(describeCommand(showText))
      .argument("<worker>", "name or id")
      .action(onFarm<FarmOptions & JsonOption>(context, finish, showWorker)),
  );
  for (const add of [cordonCommand, uncordonCommand, drainCommand, clearCommand]) command.addCommand(add(context, finish));
  return command;
}

async function listWorkers(call: FarmCall<WorkersOptions>): Promise<ExitCode> {
  const { context, client, options } = call;
  const filter = { pool: options.pool ?? "", states: workerStatesOf("--state", options.state) };
  const items = () => eachOf(client.listWorkers(filter));
  return showList(call, { name: "workers", codec: Worker, items, table: (workers) => workerTable(context.output, workers) });
}

function workerTable({ screen, paint }: Output, workers: readonly Worker[]): string {
  if (workers.length === 0) return "no workers";
  return renderTable(workers, workerColumns(timeTexts(screen.isTerminal, new Date())), { width: screen.columns(), paint });
}

function workerColumns(time: TimeText): readonly Column<Worker>[] {
  return [
    { title: "worker", cell: ({ name }) => name, weight: 9 },
    { title: "host", cell: ({ host }) => host, weight: 3, least: 8 },
    { title: "pool", cell: ({ pool }) => pool, weight: 6 },
    { title: "profile", cell: ({ profile }) => profile, weight: 1, least: 8 },
    { title: "state", cell: ({ state }) => stateCell(workerStateWord(state)), weight: 8 },
    { title: "cordon", cell: cordonText, weight: 5 },
    { title: "health", cell: ({ health }) => stateCell(healthText(health)), weight: 5 },
    { title: "last beat", cell: ({ lastBeatTime }) => (lastBeatTime === undefined ? "never" : time(lastBeatTime)), weight: 4 },
    { title: "running", cell: runningText, weight: 7, least: 10 },
  ];
}

function cordonText({ cordon }: Worker): string {
  if (cordon === undefined) return "";
  return cordon.drainTime === undefined ? "cordoned" : "drains";
}

/** Empty where nothing is held against it. */
function healthText(health: Worker["health"]): string {
  if (health === undefined) return "";
  if (health.state !== HealthState.HEALTH_STATE_HEALTHY) return healthStateWord(health.state);
  return health.quarantines.length === 1 ? "1 engine shut" : `${health.quarantines.length} engines shut`;
}

function healthLines({ name, health }: Worker, time: TimeText): readonly string[] {
  if (health === undefined) return [];
  const { state, reason, sinceTime, endTime, quarantines } = health;
  const end = endTime === undefined ? "" : `, until ${time(endTime)}`;
  const isJudged = state !== HealthState.HEALTH_STATE_HEALTHY;
  return [
    ...(isJudged ? [`${healthStateWord(state)} since ${time(sinceTime)}${end}: ${reason}`] : []),
    ...quarantines.map(
      (each) => `no work of ${each.shape} until ${time(each.endTime)}, failed ${each.failures}×: ${each.code}: ${each.message}`,
    ),
    `give it work again at once: vapfarm workers clear ${name}`,
  ];
}

function runningText({ running }: Worker): string {
  return running
    .map(({ stage, progress }) => (progress === undefined || progress.steps === 0 ? stage : `${stage} ${progress.step}/${progress.steps}`))
    .join(", ");
}

async function showWorker({ context, client, options, args: [workerId = ""] }: FarmCall<FarmOptions & JsonOption>): Promise<undefined> {
  const { output } = context;
  const worker = present((await client.calls.getWorker({ workerId })).worker, "worker");
  if (options.json === true) {
    output.json(context.toJson(Worker, worker));
    return;
  }
  for (const line of workerLines(worker, timeTexts(output.screen.isTerminal, new Date()))) output.line(plainText(line));
}

function workerLines(worker: Worker, time: TimeText): readonly string[] {
  const { name, workerId, state, host, pool, profile, softwareVersion, device, provider, memoryBytes, models, cordon, running } = worker;
  const drain = cordon?.drainTime === undefined ? "" : `, what it runs is given back ${time(cordon.drainTime)}`;
  return [
    `worker ${name} (${workerId}) is ${workerStateWord(state)}, last heard of ${time(worker.lastBeatTime)}`,
    `host ${host}, pool ${pool}, profile ${profile}, version ${softwareVersion}`,
    `device ${device} (${provider}), ${bytesText(Number(memoryBytes))}; models: ${models.join(", ")}`,
    ...(cordon === undefined ? [] : [`cordoned ${time(cordon.placeTime)} by ${cordon.placedBy}: ${cordon.reason}${drain}`]),
    ...healthLines(worker, time),
    ...running.map((task) => `runs ${task.stage} (${task.phase}) of render ${task.renderPosition}, job ${task.jobId}`),
  ];
}
