/**
 * Every SQL function that writes the state of a task or an attempt, and which events of the table it does that for.
 *
 * `vf_requeue` puts a task where it belongs for many reasons: its callers say for which. A move log on the tables notes each move with the
 * function that made it, so that a play shows whether this list is true.
 */
import {
  type AttemptEvent,
  attemptPlaces,
  moveAttempt,
  moveTask,
  storedAttemptState,
  storedTaskState,
  type TaskEvent,
  taskPlaces,
} from "../../../services/domain/task-state.ts";
import type { World } from "../store-world.ts";

type Events = { readonly task?: readonly TaskEvent[]; readonly attempt?: readonly AttemptEvent[] };

/** By function, or `function < caller`. */
export const movers: Readonly<Record<string, Events>> = {
  vf_give: { task: ["claim"] },
  vf_succeed: { task: ["succeed"], attempt: ["succeed"] },
  vf_fail: { task: ["retry_later"] },
  vf_bury: { task: ["exhaust"] },
  vf_close_attempt: { attempt: ["fail", "lapse"] },
  vf_apply_report: { attempt: ["abandon"] },
  vf_free_attempt: { attempt: ["abandon"] },
  vf_reopen: { task: ["lose_input"] },
  vf_requeue_all: { task: ["inputs_complete", "lose_users"] },
  "vf_requeue < vf_fail": { task: ["retry_now", "start_anew", "lose_input", "drop"] },
  "vf_requeue < vf_apply_report": { task: ["give_back", "retry_later", "lose_input", "drop"] },
  "vf_requeue < vf_free_attempt": { task: ["give_back", "lose_input", "drop"] },
  "vf_requeue < vf_reopen": { task: ["lose_output", "lose_input"] },
  "vf_requeue < vf_promote_delayed": { task: ["back_off_over", "lose_users"] },
  // Repairs: what should have happened before.
  "vf_requeue < vf_sweep": { task: ["inputs_complete", "lose_input", "lose_users", "give_back", "drop", "back_off_over"] },
};

export type LoggedMove = {
  readonly entity: "task" | "attempt";
  readonly was: string;
  readonly is_now: string;
  readonly mover: string;
  readonly caller: string;
};

/** Notes every move from now on. */
export async function logMoves({ sql }: World): Promise<void> {
  await sql(
    "create table move_log (entity text, was text, is_now text, mover text, caller text, unique (entity, was, is_now, mover, caller))",
  );
  await sql(`create function log_move() returns trigger language plpgsql as $$
    declare
      v_context text;
      v_stack text[];
    begin
      get diagnostics v_context = pg_context;
      v_stack := array(select m[1] from regexp_matches(v_context, 'function "?(vf_\\w+)', 'g') m);
      insert into move_log values (tg_table_name, old.state, new.state, v_stack[1], coalesce(v_stack[2], '')) on conflict do nothing;
      return new;
    end $$`);
  for (const table of ["task", "attempt"]) {
    await sql(
      `create trigger log_move after update of state on ${table} for each row when (old.state <> new.state) execute function log_move()`,
    );
  }
}

export async function loggedMoves({ sql }: World): Promise<readonly LoggedMove[]> {
  return await sql<LoggedMove>("select * from move_log order by 1, 2, 3, 4, 5");
}

/** Whether the list has an event by which that function makes that move. */
export function isListed({ entity, was, is_now: isNow, mover, caller }: LoggedMove): boolean {
  const events = movers[mover] ?? movers[`${mover} < ${caller}`] ?? {};
  if (entity === "task") return (events.task ?? []).some((event) => makesTaskMove(event, was, isNow));
  return (events.attempt ?? []).some((event) => makesAttemptMove(event, was, isNow));
}

function makesTaskMove(event: TaskEvent, was: string, isNow: string): boolean {
  return taskPlaces.some((place) => {
    const move = moveTask(place, event);
    return storedTaskState(place) === was && move.kind === "moved" && storedTaskState(move.to) === isNow;
  });
}

function makesAttemptMove(event: AttemptEvent, was: string, isNow: string): boolean {
  return attemptPlaces.some((place) => {
    const move = moveAttempt(place, event);
    return storedAttemptState(place) === was && move.kind === "moved" && storedAttemptState(move.to) === isNow;
  });
}
