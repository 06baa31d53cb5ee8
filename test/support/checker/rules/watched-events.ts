/**
 * Farm.proto and design §2: a watch tells each event exactly once and in order from where it was asked; what it told is in the log for ever.
 */
import type { Facts } from "../facts.ts";
import type { ClientCall, Kept } from "../journal-entries.ts";
import { stateOf } from "../told-jobs.ts";
import type { Finding, Rule } from "../violation.ts";
import { endedStates, jobName, numberOf, partOf, textOf } from "../words.ts";

export const watchedEvents: Rule<Facts> = {
  sentence: "a watch tells each event once, in order, as it is in the log",
  check: (facts) => facts.calls.flatMap((call) => [...inOrder(call), ...untrue(facts, call), ...cutShort(facts, call)]),
};

function eventsOf(call: ClientCall): readonly Kept[] {
  if (call.call === "listEvents") return (call.answer?.["events"] ?? []) as readonly Kept[];
  if (call.call !== "watchJob") return [];
  return call.heard.flatMap(({ message }) => {
    const update = partOf(message, "update");
    return update?.["$case"] === "event" ? [partOf(update, "value") ?? {}] : [];
  });
}

const jobOf = ({ request }: ClientCall): string => textOf(request, "jobId");

function inOrder(call: ClientCall): readonly Finding[] {
  const after = numberOf(call.request, "afterEventNumber");
  return eventsOf(call).flatMap((event, index) => {
    const expected = after + index + 1;
    const number = numberOf(event, "number");
    return number === expected
      ? []
      : [{ where: jobName(jobOf(call)), what: `a watch told event ${number} where ${expected} came next`, evidence: [event, call] }];
  });
}

function untrue(facts: Facts, call: ClientCall): readonly Finding[] {
  if (facts.jobs.get(jobOf(call))?.is_pruned === true) return [];
  const rows = new Map(facts.eventsOf(jobOf(call)).map((row) => [row.number, row]));
  return eventsOf(call).flatMap((event) => {
    const row = rows.get(numberOf(event, "number"));
    const isTrue =
      row !== undefined &&
      row.kind === event["kind"] &&
      row.task_id === numberOf(event, "taskId") &&
      row.message === textOf(event, "message") &&
      (row.job_state ?? undefined) === stateOf(event["jobState"]);
    return isTrue
      ? []
      : [
          {
            where: jobName(jobOf(call)),
            what: `event ${numberOf(event, "number")} was told and the log says otherwise`,
            evidence: [event, row],
          },
        ];
  });
}

/** A watch that ends in order has told of the job's end. */
function cutShort(facts: Facts, call: ClientCall): readonly Finding[] {
  if (call.call !== "watchJob" || !call.isOver || call.refusedWith !== undefined) return [];
  const last = numberOf(eventsOf(call).at(-1) ?? { number: call.request["afterEventNumber"] }, "number");
  const seen = facts.eventsOf(jobOf(call)).filter(({ number }) => number <= last);
  if (seen.some(({ job_state }) => endedStates.includes(job_state ?? ""))) return [];
  return [{ where: jobName(jobOf(call)), what: `a watch ended in order at event ${last}, before the job had ended`, evidence: [call] }];
}
