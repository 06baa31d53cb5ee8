/**
 * Every SQL function that writes the state of a task or an attempt, and which events of the table it does that for.
 *
 * `vf_requeue` and `vf_free_attempt` serve many reasons: their callers say which. A move log on the tables notes each move with the functions
 * that made it, and tells a reserved attempt from one that runs, so that a play shows whether this list is true.
 */
import {
  type AttemptEvent,
  attemptPlaces,
  moveAttempt,
  moveTask,
  storedTaskState,
  type TaskEvent,
  taskPlaces,
} from "../../../services/domain/task-state.ts";
import type { World } from "../store-world.ts";

type Events = { readonly task?: readonly TaskEvent[]; readonly attempt?: readonly AttemptEvent[] };

/** By function, or `function < caller`, or with the caller's caller. */
export const movers: Readonly<Record<string, Events>> = {
  vf_give: { task: ["claim"] },
  vf_succeed: { task: ["succeed"], attempt: ["succeed"] },
  vf_fail: { task: ["retry_later"] },
  vf_bury: { task: ["exhaust"] },
  vf_close_attempt: { attempt: ["fail", "lapse"] },
  vf_charge: { attempt: ["begin"] },
  vf_apply_report: { attempt: ["abandon", "preempt"] },
  "vf_free_attempt < vf_free_unheld": { attempt: ["abandon", "preempt"] },
  "vf_free_attempt < vf_take_reservation": { attempt: ["revoke"] },
  vf_reopen: { task: ["lose_input"] },
  vf_requeue_all: { task: ["inputs_complete", "lose_users"] },
  "vf_requeue < vf_fail": { task: ["retry_now", "start_anew", "lose_input", "drop"] },
  "vf_requeue < vf_apply_report": { task: ["give_back", "retry_later", "preempt", "lose_input", "drop"] },
  "vf_requeue < vf_free_attempt < vf_free_unheld": { task: ["give_back", "preempt", "lose_input", "drop"] },
  "vf_requeue < vf_free_attempt < vf_take_reservation": { task: ["revoke", "lose_input", "drop"] },
  "vf_requeue < vf_reopen": { task: ["lose_output", "lose_input"] },
  "vf_requeue < vf_promote_delayed": { task: ["back_off_over", "lose_users"] },
  // Repairs: what should have happened before.
  "vf_requeue < vf_sweep": { task: ["inputs_complete", "lose_input", "lose_users", "give_back", "drop", "back_off_over"] },
};

export type LoggedMove = {
  readonly entity: "task" | "attempt";
  readonly was: string;
  readonly is_now: string;
  /** Of an attempt that was given up: whether it was told to make way. */
  readonly makes_way: boolean;
  /** The functions that were under way, the one that made it first. */
  readonly movers: readonly string[];
};

/** Notes every move from now on. */
export async function logMoves({ sql }: World): Promise<void> {
  await sql(
    "create table move_log (entity text, was text, is_now text, makes_way boolean, movers text[], unique (entity, was, is_now, makes_way, movers))",
  );
  await sql(`create function log_move() returns trigger language plpgsql as $$
    declare
      v_context text;
      v_was text := old.state;
      v_is_now text := new.state;
      v_makes_way boolean := false;
    begin
      get diagnostics v_context = pg_context;
      if tg_table_name = 'attempt' then
        v_was := case when v_was = 'running' and to_jsonb(old) ->> 'began_at' is null then 'reserved' else v_was end;
        v_is_now := case when v_is_now = 'running' and to_jsonb(new) ->> 'began_at' is null then 'reserved' else v_is_now end;
        v_makes_way := v_is_now = 'abandoned' and (vf_stop_level(old)).level is not distinct from 'preempt';
      end if;
      if v_was = v_is_now then return null; end if;
      insert into move_log values (tg_table_name, v_was, v_is_now, v_makes_way,
        (array(select m[1] from regexp_matches(v_context, 'function "?(vf_\\w+)', 'g') m))[:3]) on conflict do nothing;
      return null;
    end $$`);
  await sql("create trigger log_move after update of state on task for each row execute function log_move()");
  await sql("create trigger log_move after update of state, began_at on attempt for each row execute function log_move()");
}

export async function loggedMoves({ sql }: World): Promise<readonly LoggedMove[]> {
  return await sql<LoggedMove>("select * from move_log order by 1, 2, 3, 4, 5");
}

/** A move in words. */
export const wordsOf = ({ entity, was, is_now: isNow, makes_way: makesWay, movers: stack }: LoggedMove): string =>
  `${entity}: ${was} → ${isNow}${makesWay ? ", makes way," : ""} by ${stack.join(" < ")}`;

/** Whether the list has an event by which that function makes that move. */
export function isListed(move: LoggedMove): boolean {
  const { entity, was, is_now: isNow, movers: stack } = move;
  const events = [1, 2, 3].flatMap((depth) => movers[stack.slice(0, depth).join(" < ")] ?? []);
  if (entity === "task") return events.some(({ task = [] }) => task.some((event) => makesTaskMove(event, was, isNow)));
  return events.some(({ attempt = [] }) => attempt.some((event) => makesAttemptMove(event, move)));
}

function makesTaskMove(event: TaskEvent, was: string, isNow: string): boolean {
  return taskPlaces.some((place) => {
    const move = moveTask(place, event);
    return storedTaskState(place) === was && move.kind === "moved" && storedTaskState(move.to) === isNow;
  });
}

/** The log tells what is reserved from what runs, as the table does, and what made way from what was given back. */
function makesAttemptMove(event: AttemptEvent, { was, is_now: isNow, makes_way: makesWay }: LoggedMove): boolean {
  return attemptPlaces.some((place) => {
    const move = moveAttempt(place, event);
    return place === was && move.kind === "moved" && move.to === isNow && (event === "preempt") === makesWay;
  });
}
