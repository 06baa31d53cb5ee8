import { expect, test } from "vitest";
import { attemptStates, canAttemptMove, canTaskMove, taskStates } from "../../../services/domain/task-state.ts";
import { useWorld } from "../../support/store-suite.ts";
import { createWorker, submit, task } from "../../support/store-world.ts";
import { putTasks, shapeOf } from "../../support/task-shape.ts";

const world = useWorld();

async function isRefused(run: () => Promise<unknown>): Promise<boolean> {
  try {
    await run();
    return false;
  } catch (thrown) {
    expect((thrown as { code?: string }).code).toBe("VF001");
    return true;
  }
}

test("the database makes exactly the moves of a task that the domain's table has", async () => {
  const { store, sql } = world();
  await submit(store, [task("only")]);
  for (const from of taskStates) {
    for (const to of taskStates) {
      await putTasks(world(), from);
      const refused = await isRefused(() => sql(`update task set ${shapeOf(to)}`));
      expect([from, to, refused]).toEqual([from, to, from !== to && !canTaskMove(from, to)]);
    }
  }
});

test("the database makes exactly the moves of an attempt that the domain's table has", async () => {
  const { store, sql } = world();
  await submit(store, [task("only")]);
  await createWorker(store).claim();
  const shape = (state: string): string => `state = '${state}', ended_at = ${state === "running" ? "null" : "now()"}`;
  for (const from of attemptStates) {
    for (const to of attemptStates) {
      await sql("alter table attempt disable trigger attempt_move");
      await sql(`update attempt set ${shape(from)}`);
      await sql("alter table attempt enable trigger attempt_move");
      const refused = await isRefused(() => sql(`update attempt set ${shape(to)}`));
      expect([from, to, refused]).toEqual([from, to, from !== to && !canAttemptMove(from, to)]);
    }
  }
});

test("nothing is written about a running task under another attempt than its current one", async () => {
  const { store, sql } = world();
  await submit(store, [task("only")]);
  await createWorker(store).claim();
  const picture = () => sql("select state, current_attempt, failures from task");
  const before = await picture();
  const other = "jsonb_populate_record(a, jsonb_build_object('id', gen_random_uuid()))";
  const failed = `'{"code": "RUNTIME_DIED", "errorClass": "unexplained", "message": "died"}'`;
  await sql("select vf_requeue(vf_no_effects(), id, gen_random_uuid(), true) from task");
  await sql("select vf_requeue(vf_no_effects(), id, null, true) from task");
  await sql(`select vf_fail(vf_no_effects(), ${other}, ${failed}, '{"unexplained": {"failures": 1}}') from attempt a`);
  await sql("update task_user set is_wanted = false");
  await sql("select vf_requeue(vf_no_effects(), id, gen_random_uuid(), true) from task");
  expect(await picture()).toEqual(before);
  expect(await sql("select 1 from ready")).toEqual([]);
});
