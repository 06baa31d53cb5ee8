/**
 * `vapfarm top`: the farm, live.
 */
import type { Command } from "commander";
import { FarmError } from "../../domain/errors.ts";
import { Job, Worker } from "../../gen/proto/vapfarm/v1/farm.ts";
import { Farm } from "../../gen/proto/vapfarm/v1/operator.ts";
import { describeCommand, type Finish, runBody, withFarmOptions } from "../command-line.ts";
import type { CliContext } from "../context.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { type FarmOptions, withFarm } from "../farm-address.ts";
import { type FarmPicture, snapshotLines } from "../top/layout.ts";
import { showLive } from "../top/live.ts";
import { readFarm } from "../top/read-farm.ts";
import type { Terminal } from "../top/screen.ts";

type TopOptions = FarmOptions & { readonly json?: boolean; readonly once?: boolean; readonly interval: string };

const text = {
  name: "top",
  group: "operate",
  summary: "show the farm live: pools, running renders, queue, workers",
  description: `Shows pools, what runs with its step and time left, the head of the queue, and the workers, and keeps it up to date until q or Ctrl-C.
p pauses, arrows and PgUp/PgDn scroll. Without a terminal, or with --once, it prints one snapshot; with --json one object.`,
  examples: ["vapfarm top", "vapfarm top --interval 5", "vapfarm top --once", "vapfarm top --json | jq '.farm.pools'"],
} as const;

const pipeWidth = 200;

/** Adds the command. */
export function topCommand(context: CliContext, finish: Finish): Command {
  return withFarmOptions(describeCommand(text))
    .option("--interval <seconds>", "time between looks, 0.2 to 3600", "1")
    .option("--once", "print one snapshot and end")
    .action(async (options: TopOptions) => finish(await runBody(context, () => top(context, options), options)));
}

async function top(context: CliContext, options: TopOptions): Promise<ExitCode> {
  const intervalMs = intervalOf(options.interval);
  const { signal } = context.interrupts;
  return withFarm(context, options, async (client) => {
    const terminal = processTerminal();
    const isLive = options.json !== true && options.once !== true && terminal.input.isTTY && terminal.output.isTTY;
    const { address } = client.endpoint;
    if (isLive) {
      await showLive({ terminal, intervalMs, address, signal, read: (each) => readFarm(client, each) });
      return exitCodes.ok;
    }
    const picture = await readFarm(client, signal);
    if (options.json === true) context.output.json(pictureJson(context, picture));
    else printSnapshot(context, { picture, address, width: terminal.output.isTTY ? terminal.output.columns : pipeWidth });
    return exitCodes.ok;
  });
}

type Snapshot = { readonly picture: FarmPicture; readonly address: string; readonly width: number };

function printSnapshot({ output }: CliContext, { picture, address, width }: Snapshot): void {
  const state = { picture, address, failure: undefined, ageMs: 0, isPaused: false, scroll: 0 };
  for (const line of snapshotLines(state, width)) output.line(line);
}

function pictureJson(context: CliContext, { farm, workers, queue }: FarmPicture): object {
  return {
    farm: context.toJson(Farm, farm),
    workers: workers.map((worker) => context.toJson(Worker, worker)),
    queue: queue.map((job) => context.toJson(Job, job)),
  };
}

/** FIELD_INVALID for what is no number of seconds. */
function intervalOf(given: string): number {
  const seconds = /^\d{1,4}(\.\d{1,3})?$/.test(given) ? Number(given) : 0;
  if (seconds >= 0.2 && seconds <= 3_600) return seconds * 1_000;
  const fields = [{ field: "--interval", reason: `"${given}" is no number from 0.2 to 3600`, remedy: "give seconds, such as 2" }];
  throw new FarmError("FIELD_INVALID", { message: `--interval: "${given}" is no number from 0.2 to 3600`, details: { fields } });
}

function processTerminal(): Terminal {
  return {
    input: process.stdin,
    output: process.stdout,
    onExit(listener) {
      process.once("exit", listener);
      return () => void process.off("exit", listener);
    },
  };
}
