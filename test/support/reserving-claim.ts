/**
 * A claim that asks for the kept slot first (vf_reserved_task), for databases whose vf_claim does not.
 */

/** Changes vf_claim where it has to be changed; a second time nothing happens. */
export const reservingClaimSql = `do $patch$
declare
  v_text text := pg_get_functiondef('vf_claim'::regproc);
begin
  if v_text not like '%vf_reserved_task%' then
    execute replace(v_text, 'if v_task is null then return; end if;',
      'v_task := coalesce(vf_reserved_task(p_worker), v_task); if v_task is null then return; end if;');
  end if;
end $patch$`;
