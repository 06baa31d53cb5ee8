-- The moves of services/domain/task-state.ts, refused by the database when a statement gets one wrong. Both tables are
-- compared by a test. The function is called for illegal moves only.

create function vf_refuse_move() returns trigger language plpgsql as $$
begin
  raise exception 'task % cannot move from % to %', old.id, old.state, new.state using errcode = 'VF001';
end $$;

create trigger task_move before update of state on task for each row
when (old.state <> new.state and not (
  (old.state = 'blocked' and new.state in ('ready', 'cancelled'))
  or (old.state = 'ready' and new.state in ('running', 'blocked', 'cancelled'))
  or (old.state = 'running' and new.state in ('succeeded', 'ready', 'delayed', 'blocked', 'failed', 'cancelled'))
  or (old.state = 'delayed' and new.state in ('ready', 'blocked', 'cancelled'))
  or (old.state = 'succeeded' and new.state in ('ready', 'blocked'))
))
execute function vf_refuse_move();

create trigger attempt_move before update of state on attempt for each row
when (old.state <> new.state and old.state <> 'running')
execute function vf_refuse_move();
