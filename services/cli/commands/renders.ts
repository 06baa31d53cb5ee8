/**
 * `vapfarm renders`: the videos of a job.
 */
import type { Command } from "commander";
import { Render } from "../../gen/proto/vapfarm/v1/farm.ts";
import { timeTexts } from "../ages.ts";
import {
  describeCommand,
  type FarmCall,
  type Finish,
  type JsonOption,
  onFarm,
  type WatchOptions,
  wholeOf,
  withFarmOptions,
  withWatchOptions,
} from "../command-line.ts";
import type { CliContext } from "../context.ts";
import type { ExitCode } from "../exit-codes.ts";
import type { FarmOptions } from "../farm-address.ts";
import { showList } from "../json-list.ts";
import { renderTable } from "../table.ts";
import { jobStatesOf, jobStateWord, stateCell } from "../words.ts";

type RendersOptions = FarmOptions & JsonOption & WatchOptions & { readonly state?: string; readonly limit: string };

const text = {
  name: "renders",
  group: "renders",
  summary: "list a job's renders",
  description: "Lists the renders of a job by position; `vapfarm job JOB --render POSITION` shows one whole.",
  examples: ["vapfarm renders 0199a3f2-...", "vapfarm renders 0199a3f2-... --state failed --json | jq '.renders[].failure'"],
} as const;

/** Adds the command. */
export function rendersCommand(context: CliContext, finish: Finish): Command {
  return withWatchOptions(withFarmOptions(describeCommand(text)))
    .argument("<job>", "job id")
    .option("--state <list>", "of queued,running,succeeded,failed,cancelled")
    .option("--limit <number>", "how many at most", "1000")
    .action(onFarm<RendersOptions>(context, finish, listRenders));
}

async function listRenders(call: FarmCall<RendersOptions>): Promise<ExitCode> {
  const { context, client, options, args } = call;
  const filter = { jobId: args[0] ?? "", states: jobStatesOf("--state", options.state) };
  const control = { limit: wholeOf("--limit", options.limit, 1), signal: context.interrupts.signal };
  const items = () => client.renders(filter, control);
  return showList(call, { name: "renders", codec: Render, items, table: (renders) => renderRows(context, renders) });
}

function renderRows({ output }: CliContext, renders: readonly Render[]): string {
  const time = timeTexts(output.screen.isTerminal, new Date());
  return renderTable(
    renders,
    [
      { title: "render", cell: ({ position }) => String(position), weight: 9, align: "right" },
      { title: "state", cell: ({ state }) => stateCell(jobStateWord(state)), weight: 8 },
      { title: "ended", cell: ({ endTime }) => time(endTime), weight: 6 },
      { title: "seed", cell: ({ spec }) => spec?.seed?.toString() ?? "", weight: 3, align: "right" },
      { title: "steps", cell: ({ spec }) => String(spec?.steps ?? ""), weight: 3, align: "right" },
      { title: "model", cell: ({ spec }) => spec?.model ?? "", weight: 4 },
      { title: "failure", cell: ({ failure }) => failure?.code ?? "", weight: 7 },
      { title: "prompt", cell: ({ spec }) => spec?.prompt ?? "", weight: 1, least: 12 },
    ],
    { width: output.screen.columns(), paint: output.paint },
  );
}
