import { expect, test } from "vitest";
import { jobState, type RenderTally } from "../../../services/domain/job-state.ts";
import { isOpenRender, renderState, type RenderState } from "../../../services/domain/render-state.ts";
import { taskStates, type TaskState } from "../../../services/domain/task-state.ts";
import { useWorld } from "../../support/store-suite.ts";
import { submit, task } from "../../support/store-world.ts";
import { putTasks } from "../../support/task-shape.ts";

const world = useWorld();

const states: readonly RenderState[] = ["queued", "running", "succeeded", "failed", "cancelled"];

/** Every set of states that a render's tasks can be in. */
const sets: readonly (readonly TaskState[])[] = Array.from({ length: 2 ** taskStates.length }, (_unused, bits) =>
  taskStates.filter((_state, index) => (bits >> index) % 2 === 1),
);

test("the database judges a render of every state, with tasks and scores of every set of states, as the domain does", async () => {
  const { store, sql } = world();
  const jobId = await submit(
    store,
    taskStates.map((state) => task(state)),
  );
  for (const state of taskStates) await putTasks(world(), state, `id in (select task_id from task_user where label = '${state}')`);
  const renders = states.flatMap((was) => sets.map((tasks) => ({ was, tasks })));
  await sql(
    `insert into render (job_id, position, spec, model_weights, fps, state, ended_at, failure_code)
     select $1, r.ord, '{}', 'random', 16, r.value ->> 'was', case when r.value ->> 'was' not in ('queued', 'running') then now() end,
       case when r.value ->> 'was' = 'failed' then 'INTERNAL' end
     from jsonb_array_elements($2::jsonb) with ordinality r(value, ord)`,
    [jobId, JSON.stringify(renders)],
  );
  await sql(
    `insert into task_user (task_id, render_id, position, label, artifacts)
     select k.id, r.id, 1, s.state, '{}' from jsonb_array_elements($1::jsonb) with ordinality g(value, ord)
     join render r on r.position = g.ord cross join lateral jsonb_array_elements_text(g.value -> 'tasks') s(state)
     join task k on k.state = s.state`,
    [JSON.stringify(renders)],
  );
  for (const { isCancelled, areScores } of [false, true].flatMap((isCancelled) =>
    [false, true].map((areScores) => ({ isCancelled, areScores })),
  )) {
    if (areScores)
      await sql("update task set stage = 'score/motion_smoothness' where state in ('failed', 'cancelled', 'running', 'blocked')");
    else await sql("update task set stage = 'denoise'");
    const isScore = (state: TaskState): boolean => areScores && ["failed", "cancelled", "running", "blocked"].includes(state);
    const judged = await sql<{ position: number; was: RenderState; is_now: RenderState }>(
      `select r.position, j.was, j.is_now from vf_judge_renders(array(select id from render where position > 0),
         case when $1 then (select jsonb_agg(jsonb_build_object('render', id)) from render) else '[]' end) j join render r on r.id = j.render_id order by r.position`,
      [isCancelled],
    );
    const expected = renders.flatMap(({ was, tasks: all }, index) => {
      const [tasks, scores] = [all.filter((state) => !isScore(state)), all.filter(isScore)];
      return isOpenRender(was) ? [{ position: index + 1, was, is_now: renderState({ was, isCancelled, tasks, scores }) }] : [];
    });
    expect(judged).toEqual(expected);
  }
});

test("a render that waits for its tasks stays as it is until a word ends it", async () => {
  const { store, sql } = world();
  const jobId = await submit(store, [task("ready")]);
  await sql("update render set is_waiting = true where job_id = $1", [jobId]);
  await putTasks(world(), "running", "true");
  for (const { words, becomes } of [
    { words: "'[]'", becomes: "queued" },
    { words: "jsonb_build_array(jsonb_build_object('render', r.id))", becomes: "cancelled" },
    { words: "jsonb_build_array(jsonb_build_object('render', r.id, 'as', 'failed'))", becomes: "failed" },
  ]) {
    const judged = await sql<{ is_now: string }>(
      `select j.is_now from render r cross join lateral vf_judge_renders(array[r.id], ${words}) j`,
    );
    expect(judged).toEqual([{ is_now: becomes }]);
  }
});

test("the database derives a job's state from every mixture of its renders' as the domain does", async () => {
  const { sql } = world();
  const tallies: RenderTally[] = Array.from({ length: 3 ** states.length }, (_unused, index) => {
    const [queued = 0, running = 0, succeeded = 0, failed = 0, cancelled = 0] = states.map(
      (_state, place) => Math.floor(index / 3 ** place) % 3,
    );
    return { queued, running, succeeded, failed, cancelled };
  });
  const cases = [undefined, ...states].flatMap((was) => tallies.map((tally) => ({ was, tally })));
  const derived = await sql<{ state: string }>(
    `select vf_job_state(c.value ->> 'was', c.value -> 'tally') as state from jsonb_array_elements($1::jsonb) with ordinality c(value, ord)
     order by c.ord`,
    [JSON.stringify(cases)],
  );
  expect(derived.map(({ state }) => state)).toEqual(cases.map(({ was, tally }) => jobState(was, tally)));
});
