/**
 * The event log, read for watchers and for the relay.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

const columns =
  "e.job_id, e.number, e.at, e.kind, e.stage, e.task_id, e.worker_name, e.message, e.job_state, e.compute_ms, e.render_position";

/** $1: job, $2: after this number, $3: limit. Index: event_pkey. */
export const listEventsStatement: NamedStatement = {
  name: "vf_list_events",
  text: `select ${columns} from event e where e.job_id = $1 and e.number > $2 order by e.number limit $3`,
};

/** $1: limit. In order per job, with how many renders it has. Index: job_unsent_idx. */
export const unsentEventsStatement: NamedStatement = {
  name: "vf_unsent_events",
  text: `select ${columns}, j.render_total as job_renders from job j join event e on e.job_id = j.id and e.number > j.sent_event
    where j.has_unsent order by j.id, e.number limit $1`,
};

/** $1: job, $2: number. Never goes back; no row where nothing moved, so of two that mark the same rows one is told. Result: the mark before. */
export const markSentStatement: NamedStatement = {
  name: "vf_mark_sent",
  text: `update job j set sent_event = least($2, j.last_event)
    from (select b.id, b.sent_event from job b where b.id = $1 for no key update) b
    where j.id = b.id and j.sent_event < $2 returning b.sent_event as result`,
};

/** $1: most jobs that are looked at. Numbers of a job's events have no gaps. Index: job_unsent_idx. */
export const unsentCountStatement: NamedStatement = {
  name: "vf_unsent_count",
  text: `select coalesce(sum(u.last_event - u.sent_event), 0)::double precision as result
    from (select j.last_event, j.sent_event from job j where j.has_unsent limit $1) u`,
};

/** No values. Index: farm_pkey. */
export const farmEpochStatement: NamedStatement = { name: "vf_farm_epoch", text: "select f.epoch as result from farm f" };
