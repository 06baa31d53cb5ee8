/**
 * `vapfarm workers`: who works on the farm, and on what.
 */
import type { Command } from "commander";
import { Worker, WorkerState } from "../../gen/proto/vapfarm/v1/farm.ts";
import { describeCommand, type Finish, runBody, withFarmOptions } from "../command-line.ts";
import type { CliContext } from "../context.ts";
import { exitCodes } from "../exit-codes.ts";
import { type FarmOptions, withFarm } from "../farm-address.ts";
import { textTable } from "../text-table.ts";

type WorkersOptions = FarmOptions & { readonly json?: boolean };

const text = {
  name: "workers",
  summary: "list the farm's workers",
  description: "Lists the workers that the farm knows: pool, profile, state, what each is running.",
  examples: ["vapfarm workers", "vapfarm workers --json | jq '.workers[].name'"],
};

/** Adds the command. */
export function workersCommand(context: CliContext, finish: Finish): Command {
  return withFarmOptions(describeCommand(text)).action(async (options: WorkersOptions) => {
    const body = () =>
      withFarm(context, options, async (client) => {
        const workers = await client.listWorkers();
        if (options.json === true) context.output.json({ workers: workers.map((worker) => Worker.toJSON(worker)) });
        else context.output.line(textTable(["worker", "host", "pool", "profile", "state", "last beat", "running"], workers.map(rowOf)));
        return exitCodes.ok;
      });
    finish(await runBody(context, body, options));
  });
}

function rowOf(worker: Worker): readonly string[] {
  const state = (Object.entries(WorkerState).find(([, value]) => value === worker.state)?.[0] ?? "UNRECOGNIZED").replace(
    "WORKER_STATE_",
    "",
  );
  const running = worker.running.map(({ stage, progress }) =>
    progress === undefined || progress.steps === 0 ? stage : `${stage} ${progress.step}/${progress.steps}`,
  );
  const beat = worker.lastBeatTime?.toISOString().slice(11, 19) ?? "never";
  return [worker.name, worker.host, worker.pool, worker.profile, state.toLowerCase(), beat, running.join(", ")];
}
