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

/** $1: limit. In order per job. Index: job_unsent_idx. */
export const unsentEventsStatement: NamedStatement = {
  name: "vf_unsent_events",
  text: `select ${columns} from job j join event e on e.job_id = j.id and e.number > j.sent_event
    where j.has_unsent order by j.id, e.number limit $1`,
};

/** $1: job, $2: number. Never goes back. */
export const markSentStatement: NamedStatement = {
  name: "vf_mark_sent",
  text: "update job set sent_event = least($2, last_event) where id = $1 and sent_event < $2",
};

/** No values. Index: farm_pkey. */
export const farmEpochStatement: NamedStatement = { name: "vf_farm_epoch", text: "select f.epoch as result from farm f" };
