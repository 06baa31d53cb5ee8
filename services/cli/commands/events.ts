/**
 * `vapfarm events`: a job's log.
 */
import type { Command } from "commander";
import { JobEvent } from "../../gen/proto/vapfarm/v1/farm.ts";
import { timeTexts } from "../ages.ts";
import { describeCommand, type FarmCall, type Finish, type JsonOption, onFarm, wholeOf, withFarmOptions } from "../command-line.ts";
import type { CliContext } from "../context.ts";
import type { ExitCode } from "../exit-codes.ts";
import type { FarmOptions } from "../farm-address.ts";
import { showList } from "../json-list.ts";
import type { Output } from "../output.ts";
import { renderTable } from "../table.ts";

type EventsOptions = FarmOptions & JsonOption & { readonly after: string; readonly limit?: string };

const text = {
  name: "events",
  group: "renders",
  summary: "list a job's events",
  description: "Lists what happened to a job, in order, up to now; `vapfarm watch` waits for what happens next.",
  examples: ["vapfarm events 0199a3f2-...", "vapfarm events 0199a3f2-... --after 12 --json | jq '.events[].kind'"],
} as const;

/** Adds the command. */
export function eventsCommand(context: CliContext, finish: Finish): Command {
  return withFarmOptions(describeCommand(text))
    .argument("<job>", "job id")
    .option("--after <number>", "only events after this number", "0")
    .option("--limit <number>", "how many at most (else all)")
    .action(onFarm<EventsOptions>(context, finish, listEvents));
}

async function listEvents(call: FarmCall<EventsOptions>): Promise<ExitCode> {
  const { context, client, options, args } = call;
  const limit = options.limit === undefined ? undefined : wholeOf("--limit", options.limit, 1);
  const from = { jobId: args[0] ?? "", afterEventNumber: BigInt(wholeOf("--after", options.after)) };
  const items = () => client.events(from, { limit, signal: context.interrupts.signal });
  return showList(call, { name: "events", codec: JobEvent, items, table: (events) => eventTable(context.output, events) });
}

function eventTable(output: Output, events: readonly JobEvent[]): string {
  const time = timeTexts(output.screen.isTerminal, new Date());
  return renderTable(
    events,
    [
      { title: "number", cell: ({ number }) => number.toString(), weight: 9, align: "right" },
      { title: "time", cell: (event) => time(event.time), weight: 7 },
      { title: "event", cell: ({ kind }) => kind, weight: 8 },
      { title: "render", cell: ({ renderPosition }) => renderPosition?.toString() ?? "", weight: 5, align: "right" },
      { title: "stage", cell: ({ stage }) => stage, weight: 6 },
      { title: "worker", cell: ({ workerName }) => workerName, weight: 4 },
      { title: "message", cell: ({ message }) => message, weight: 2, least: 12 },
    ],
    { width: output.screen.columns(), paint: output.paint },
  );
}
