-- Submitting and cancelling a job: one statement each.

-- Whether all outputs of a succeeded task are still stored; if so they are kept from collection.
create function vf_keep_outputs(p_task bigint) returns boolean language plpgsql as $$
declare
  v_is_stored boolean;
begin
  perform 1 from artifact a where a.sha256 in (select o.sha256 from task_output o where o.task_id = p_task)
  order by a.sha256 for no key update;
  select bool_and(a.is_stored) into v_is_stored from task_output o join artifact a on a.sha256 = o.sha256 where o.task_id = p_task;
  if coalesce(v_is_stored, false) then
    update artifact set condemned_at = null
    where condemned_at is not null and sha256 in (select o.sha256 from task_output o where o.task_id = p_task);
    return true;
  end if;
  return false;
end $$;

-- The key's task that can serve a new user, locked; a dead one is retired and a new generation made, still without inputs.
create function vf_current_task(p_tenant text, p_task jsonb, out task_id bigint, out is_new boolean) language plpgsql as $$
declare
  v_key text := p_task ->> 'contentKey';
  v_task task;
begin
  loop
    is_new := false;
    select t.* into v_task from task t where t.content_key = v_key and not t.is_retired for no key update;
    if found then
      task_id := v_task.id;
      if v_task.state in ('blocked', 'ready', 'running', 'delayed') then return; end if;
      if v_task.state = 'succeeded' and vf_keep_outputs(v_task.id) then return; end if;
      update task set is_retired = true where id = v_task.id;
    end if;
    insert into task (content_key, generation, tenant_id, sharing_domain, stage, pool, shape, model, engine_digests, parameters)
    values (v_key, coalesce((select max(t.generation) from task t where t.content_key = v_key), 0) + 1, p_tenant,
      p_task ->> 'sharingDomain', p_task ->> 'stage', p_task ->> 'pool', p_task ->> 'shape', p_task ->> 'model',
      p_task -> 'engineDigests', p_task -> 'parameters')
    on conflict do nothing returning id into task_id;
    is_new := found;
    exit when is_new;
  end loop;
end $$;

-- What an earlier submit under the same id or idempotency key left; null when there was none.
create function vf_repeated(p_job jsonb) returns jsonb language sql volatile as $$
  select jsonb_build_object('kind', case when j.body_digest = p_job ->> 'bodyDigest' then 'repeated' else 'conflict' end, 'jobId', j.id)
  from job j
  where (j.tenant_id = p_job ->> 'tenant' and j.idempotency_key = p_job ->> 'idempotencyKey')
    or (j.id = p_job ->> 'jobId' and j.tenant_id = p_job ->> 'tenant')
  limit 1;
$$;

-- Takes the uploads that a job starts from out of collection's reach; returns those that the tenant has not, null when all are there.
create function vf_keep_uploads(p_job jsonb) returns jsonb language plpgsql as $$
begin
  perform 1 from artifact a where a.sha256 in (select jsonb_array_elements_text(p_job -> 'uploads')) order by a.sha256 for no key update;
  update artifact set condemned_at = null
  where condemned_at is not null and sha256 in (select jsonb_array_elements_text(p_job -> 'uploads'));
  return (select jsonb_agg(s) from jsonb_array_elements_text(p_job -> 'uploads') s
    where not exists (select 1 from upload u join artifact a on a.sha256 = u.sha256
                      where u.tenant_id = p_job ->> 'tenant' and u.sha256 = s and a.is_stored));
end $$;

-- Stores the job and its render; returns the render, null when the job's id or key is taken.
create function vf_insert_job(p_job jsonb) returns bigint language sql volatile as $$
  with stored as (
    insert into job (id, tenant_id, idempotency_key, body_digest, job_class, priority, deadline, reuse)
    values (p_job ->> 'jobId', p_job ->> 'tenant', p_job ->> 'idempotencyKey', p_job ->> 'bodyDigest', p_job ->> 'jobClass',
      (p_job ->> 'priority')::smallint, (p_job ->> 'deadline')::timestamptz, p_job ->> 'reuse')
    on conflict do nothing returning id)
  insert into render (job_id, spec, model_weights, fps)
  select stored.id, p_job -> 'render', p_job ->> 'modelWeights', (p_job ->> 'fps')::integer from stored returning id;
$$;

-- Makes the render a user of the tasks that it plans, in key order. ids: content key -> task; fresh: those that are new.
create function vf_use_tasks(inout fx jsonb, p_job jsonb, p_render bigint, out ids jsonb, out fresh bigint[]) language plpgsql as $$
declare
  v_planned jsonb;
  v_position integer;
  v_current record;
begin
  ids := '{}';
  fresh := '{}';
  for v_planned, v_position in
    select t.value, t.ord from jsonb_array_elements(p_job -> 'tasks') with ordinality t(value, ord) order by t.value ->> 'contentKey'
  loop
    select c.task_id, c.is_new into v_current from vf_current_task(p_job ->> 'tenant', v_planned) c;
    insert into task_user (task_id, render_id, position, label, artifacts, is_reused)
    select t.id, p_render, v_position, v_planned ->> 'label', array(select jsonb_array_elements_text(v_planned -> 'artifacts')), t.state = 'succeeded'
    from task t where t.id = v_current.task_id;
    ids := ids || jsonb_build_object(v_planned ->> 'contentKey', v_current.task_id);
    if v_current.is_new then
      fresh := array_append(fresh, v_current.task_id);
    elsif exists (select 1 from ready q where q.task_id = v_current.task_id) then
      perform vf_rank(v_current.task_id);
      fx := vf_add(fx, 'ready', to_jsonb(v_current.task_id));
    end if;
  end loop;
end $$;

-- Gives a new task its inputs: it waits for those that are not there, or is ready.
create function vf_wire_task(fx jsonb, p_task bigint, p_inputs jsonb, p_ids jsonb) returns jsonb language plpgsql as $$
declare
  v_missing integer;
begin
  insert into task_input (task_id, name, upload_sha256, producer_id, producer_output)
  select p_task, i ->> 'name', i -> 'source' ->> 'sha256', (p_ids ->> (i -> 'source' ->> 'contentKey'))::bigint, i -> 'source' ->> 'output'
  from jsonb_array_elements(p_inputs) i;
  v_missing := vf_inputs_missing(p_task);
  if v_missing = 0 then
    return vf_requeue(fx, p_task, null, false);
  end if;
  update task set inputs_missing = v_missing where id = p_task;
  return fx;
end $$;

-- p_job: SubmitJob of store-contract.ts. Outcomes: stored, repeated, conflict, invalid (uploads that are missing).
-- Locks: the uploads' artifacts; then, in key order, each key's task and its outputs' artifacts; then the new job.
-- Indexes: task_content_key_current_key, job_tenant_id_idempotency_key_key.
create function vf_submit(p_job jsonb) returns jsonb language plpgsql as $$
declare
  fx jsonb := vf_no_effects();
  v_outcome jsonb;
  v_render bigint;
  v_planned jsonb;
  v_task bigint;
  v_ids jsonb;
  v_fresh bigint[];
begin
  insert into tenant (id) values (p_job ->> 'tenant') on conflict do nothing;
  v_outcome := vf_repeated(p_job);
  if v_outcome is not null then return v_outcome; end if;
  v_outcome := vf_keep_uploads(p_job);
  if v_outcome is not null then return jsonb_build_object('kind', 'invalid', 'missing', v_outcome); end if;
  v_render := vf_insert_job(p_job);
  if v_render is null then
    return coalesce(vf_repeated(p_job), jsonb_build_object('kind', 'conflict', 'jobId', p_job ->> 'jobId'));
  end if;
  select u.fx, u.ids, u.fresh into fx, v_ids, v_fresh from vf_use_tasks(fx, p_job, v_render) u;
  for v_planned in select t.value from jsonb_array_elements(p_job -> 'tasks') with ordinality t(value, ord) order by t.ord loop
    v_task := (v_ids ->> (v_planned ->> 'contentKey'))::bigint;
    continue when v_task <> all (v_fresh);
    fx := vf_wire_task(fx, v_task, v_planned -> 'inputs', v_ids);
  end loop;
  fx := vf_add(fx, 'events', jsonb_build_object('job', p_job ->> 'jobId', 'kind', 'job.submitted'));
  return jsonb_build_object('kind', 'stored', 'jobId', p_job ->> 'jobId', 'aftermath', vf_flush(fx));
end $$;

-- Idempotent. Null when the tenant has no such job. Locks: the job's open tasks in id order, then the job.
create function vf_cancel(p_tenant text, p_job text) returns jsonb language plpgsql as $$
declare
  fx jsonb := vf_no_effects();
begin
  perform 1 from job j where j.id = p_job and j.tenant_id = p_tenant;
  if not found then return null; end if;
  perform 1 from task t where t.state in ('blocked', 'ready', 'delayed', 'running')
    and t.id in (select u.task_id from task_user u join render r on r.id = u.render_id where r.job_id = p_job)
  order by t.id for no key update;
  fx := vf_add(fx, 'events', jsonb_build_object('job', p_job, 'kind', 'job.cancelled'));
  return vf_flush(fx);
end $$;
