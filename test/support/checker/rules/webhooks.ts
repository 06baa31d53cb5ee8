/**
 * Farm.proto: who asked to be told of a job's end is told at least once, and of nothing that did not happen.
 */
import type { Facts } from "../facts.ts";
import type { DeliveryRow, WebhookRow } from "../rows.ts";
import type { Finding, Rule } from "../violation.ts";
import { endedStates, jobName } from "../words.ts";

export const webhooks: Rule<Facts> = {
  sentence: "a webhook is told of its job's end at least once",
  check: (facts) => [...facts.database.webhook.flatMap((row) => ofWebhook(facts, row)), ...invented(facts)],
};

function ofWebhook(facts: Facts, { job_id: id, url }: WebhookRow): readonly Finding[] {
  const ends = facts.eventsOf(id).filter(({ job_state }) => endedStates.includes(job_state ?? ""));
  return ends.flatMap((end) => {
    const delivery = facts.database.webhook_delivery.find(({ job_id, event_number }) => job_id === id && event_number === end.number);
    const where = `the webhook of ${jobName(id)}`;
    if (delivery === undefined) return [{ where, what: `nobody is to be told of event ${end.number}`, evidence: [end] }];
    return [...untold(facts, delivery), ...unheard(facts, delivery, url)];
  });
}

/** In a farm that was left to finish nothing is due any more; one that was given up has been tried. */
function untold(facts: Facts, row: DeliveryRow): readonly Finding[] {
  const isDone = row.delivered_at !== null || (row.next_try_at === null && row.tries > 0);
  if (isDone || !facts.bounds.isSettled) return [];
  return [{ where: `the webhook of ${jobName(row.job_id)}`, what: `event ${row.event_number} was not told`, evidence: [row] }];
}

function unheard(facts: Facts, row: DeliveryRow, url: string): readonly Finding[] {
  const listens = facts.tester.some((line) => line.kind === "listens" && url.startsWith(line.url));
  const isHeard = facts.tester.some(
    (line) => line.kind === "delivered" && line.jobId === row.job_id && line.eventNumber === row.event_number,
  );
  if (row.delivered_at === null || !listens || isHeard) return [];
  return [
    {
      where: `the webhook of ${jobName(row.job_id)}`,
      what: `event ${row.event_number} is marked as told and never arrived`,
      evidence: [row],
    },
  ];
}

function invented(facts: Facts): readonly Finding[] {
  return facts.tester.flatMap((line) => {
    if (line.kind !== "delivered") return [];
    const event = facts.eventsOf(line.jobId).find(({ number }) => number === line.eventNumber);
    const isTrue = event?.kind === line.type;
    return isTrue
      ? []
      : [
          {
            where: `the webhook of ${jobName(line.jobId)}`,
            what: `it was told "${line.type}", which the log does not say`,
            evidence: [line, event],
          },
        ];
  });
}
