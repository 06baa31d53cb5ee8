-- The reports that an ask carries, in their order. Each outcome names its attempt's stage, so that any coordinator can count by it;
-- without it when the attempt is not known.
create or replace function vf_apply_reports(inout fx jsonb, p_ask jsonb, p_policy jsonb, out outcomes jsonb) language plpgsql as $$
declare
  v_report jsonb;
  v_disposition text;
  v_stage text;
begin
  outcomes := '[]';
  for v_report in select r.value from jsonb_array_elements(p_ask -> 'reports') with ordinality r(value, ord) order by r.ord loop
    select f.fx, f.disposition into fx, v_disposition from vf_apply_report(fx, v_report, p_policy) f;
    select t.stage into v_stage from attempt a join task t on t.id = a.task_id where a.id = vf_fence(v_report ->> 'attemptId');
    outcomes := outcomes || jsonb_strip_nulls(
      jsonb_build_object('attemptId', v_report ->> 'attemptId', 'disposition', v_disposition, 'stage', v_stage));
  end loop;
end $$;
