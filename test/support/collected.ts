/**
 * Renders whose intermediates the farm has collected, and what became of their tasks. The farm's own duty collects; what tests do is to
 * move the clock by which it waits for uploads that might be under way.
 */
import type { WatchJobResponse } from "../../services/gen/proto/vapfarm/v1/farm.ts";
import type { TestFarm } from "./farm.ts";
import { until } from "./until.ts";

export type RenderedTask = {
  readonly key: string;
  readonly stage: string;
  readonly generation: number;
  /** Attempts that succeeded: a claim that was given back computed nothing. */
  readonly computed: number;
  /** Attempts of every generation of its key that are in the books as committed. */
  readonly booked: number;
  /** Name → SHA-256; null once they are collected. */
  readonly outputs: Readonly<Record<string, string>> | null;
};

const ofJob = "from render r join task_user u on u.render_id = r.id join task t on t.id = u.task_id where r.job_id = $1";

/** The tasks that the job uses. */
export function tasksOf(farm: TestFarm, jobId: string): Promise<readonly RenderedTask[]> {
  return farm.sql<RenderedTask>(
    `select t.content_key as key, t.stage, t.generation,
       (select count(*)::int from attempt a where a.task_id = t.id and a.state = 'succeeded') as computed,
       (select count(*)::int from usage b join task g on g.id = b.task_id
        where g.content_key = t.content_key and b.disposition = 'committed') as booked,
       (select jsonb_object_agg(o.name, o.sha256) from task_output o where o.task_id = t.id) as outputs ${ofJob} order by t.content_key`,
    [jobId],
  );
}

/** Waits until the duty has collected everything of the ended job but its results. */
export async function collectIntermediates(farm: TestFarm, jobId: string): Promise<void> {
  await until("the intermediates are collected", async () => {
    await farm.sql("update artifact set condemned_at = condemned_at - interval '1 day' where condemned_at is not null");
    const left = `select 1 ${ofJob} and exists (select 1 from task_output o where o.task_id = t.id and o.name <> all (u.artifacts))`;
    return (await farm.sql(left, [jobId])).length === 0;
  });
}

/** Of the events of a watch: the tasks of the stage that were started. */
export function startedTasks(told: readonly WatchJobResponse[], stage: string): readonly bigint[] {
  const events = told.flatMap(({ update }) => (update?.$case === "event" ? [update.value] : []));
  return events.filter((event) => event.kind === "task.started" && event.stage === stage).map(({ taskId }) => taskId);
}
