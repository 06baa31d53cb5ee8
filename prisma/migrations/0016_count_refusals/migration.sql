-- What the guards of services/domain/task-state.ts say and see: a refusal names the row, whichever table it is of, because it is counted and
-- must be found; and the fence of a running task is part of its state: it changes only with a claim or the attempt's end.

create or replace function vf_refuse_move() returns trigger language plpgsql as $$
begin
  raise exception '% % cannot move from % to %', tg_table_name, old.id, old.state, new.state using errcode = 'VF001';
end $$;

create trigger task_fence before update of current_attempt on task for each row
when (old.state = 'running' and new.state = 'running' and old.current_attempt <> new.current_attempt)
execute function vf_refuse_move();
