/**
 * What befalls a farm as a whole: every program restarted while work runs, a task that kills each worker it meets, one that its worker has no
 * memory for, the stream of events deleted, a full disk. The lease is 5 s instead of 15 s. Afterwards the checker holds all that was kept
 * against all that was seen.
 */
import { jetstreamManager } from "@nats-io/jetstream";
import { afterAll, describe, expect, it } from "vitest";
import { CordonWorkerRequest, ExplainJobRequest, JobEvent, UncordonWorkerRequest } from "../../services/gen/proto/vapfarm/v1/farm.ts";
import { type Constraint, ConstraintKind } from "../../services/gen/proto/vapfarm/v1/operator.ts";
import { createLogger } from "../../services/platform/logging.ts";
import { connectBroker } from "../../services/platform/nats/broker.ts";
import { subjectsOf } from "../../services/platform/nats/subjects.ts";
import { workerCrashPoints } from "../../services/worker/session/crash-points.ts";
import { attemptsOf, denoiseOf } from "../support/fault/renders.ts";
import { faultTimeoutMs as timeoutMs, useScene } from "../support/fault/scene.ts";
import { makeSmallDisk } from "../support/fault/small-disk.ts";
import { starving } from "../support/fault/starved-runtime.ts";
import { until } from "../support/until.ts";

const disk = await makeSmallDisk();
// After the farm has ended: hooks run in reverse.
afterAll(() => disk.remove());
const scene = useScene({ artifactsFolder: disk.folder });

type JobRow = { state: string; code: string | null; last: number };

async function jobOf(jobId: string): Promise<JobRow> {
  const [job] = await scene().farm.sql<JobRow>("select state, failure_code as code, last_event as last from job where id = $1", [jobId]);
  return job ?? expect.fail("no such job");
}

describe("a rolling restart", () => {
  it(
    "of all coordinators and all workers loses no job, no run but by drain, and charges nobody",
    async () => {
      const { farm, submit, expectSucceeded } = scene();
      const jobIds = await Promise.all(Array.from({ length: 8 }, (_, index) => submit(60, index % 2)));
      for (const index of [0, 1]) {
        // One coordinator and one worker at a time.
        const programs = [...farm.coordinators.slice(index, index + 1), ...farm.workers.slice(index, index + 1)].map(
          ({ program }) => program,
        );
        await Promise.all(programs.map((program) => program.stop()));
        await Promise.all(programs.map((program) => program.start()));
      }
      await expectSucceeded(...jobIds);
      for (const jobId of jobIds) {
        const attempts = await attemptsOf(farm, jobId);
        expect(attempts.map(({ state }) => state)).toEqual([...attempts.slice(1).map(() => "abandoned"), "succeeded"]);
        expect(attempts[0]?.charged).toEqual({});
      }
    },
    timeoutMs,
  );
});

describe("a task that kills its worker every time", () => {
  it(
    "ends as suspected poison, while the farm lives and other work ends",
    async () => {
      const { farm, worker, submit, expectSucceeded } = scene();
      const poison = await submit(400);
      const other = await submit(20);
      // What the database says of an attempt may be older than its worker's end.
      const killed = new Set<string>();
      await until(
        "the task is given up",
        async () => {
          const running = await denoiseOf(farm, poison);
          if (running !== undefined && !killed.has(running.attemptId)) {
            killed.add(running.attemptId);
            await worker(running.worker).program.kill();
            await worker(running.worker).program.start();
          }
          return (await jobOf(poison)).state === "failed";
        },
        80_000,
      );
      expect((await jobOf(poison)).code).toBe("SUSPECTED_POISON");
      expect(killed.size).toBe(3);
      await expectSucceeded(other, await submit(3));
    },
    timeoutMs,
  );
});

describe("a worker that dies at", () => {
  it.each(workerCrashPoints)(
    "%s leaves nothing half done: its task is done once",
    async (point) => {
      const { farm, coordinator, submit, expectSucceeded } = scene();
      const [doomed, other] = farm.workers;
      if (doomed === undefined || other === undefined) expect.fail("no two workers");
      const { calls } = coordinator(0).client;
      await calls.cordonWorker(CordonWorkerRequest.create({ workerId: other.program.name, reason: "a test" }));
      await doomed.program.stop();
      await doomed.program.start({ VAPFARM_CRASH_AT: point });
      const jobId = await submit(3);
      expect(await doomed.program.ended).toBe("SIGKILL");
      await doomed.program.start();
      await expectSucceeded(jobId);
      await calls.uncordonWorker(UncordonWorkerRequest.create({ workerId: other.program.name }));
      const states = (await attemptsOf(farm, jobId)).map(({ state }) => state);
      // What was reported was committed; what was not is charged to nobody else.
      expect(states).toEqual(point === "reported" ? ["succeeded"] : ["lost", "succeeded"]);
    },
    timeoutMs,
  );
});

describe("a task that runs out of memory", () => {
  const smallBytes = 1024 ** 3;

  it(
    "is not tried there again but on a worker that has more, and explain names the memory until there is one",
    async () => {
      const { farm, coordinator, submit, expectSucceeded } = scene();
      const [small, large] = farm.workers;
      if (small === undefined || large === undefined) expect.fail("no two workers");
      await Promise.all([small.program.stop(), large.program.stop()]);
      await small.program.start(starving("denoise", smallBytes));
      const jobId = await submit(3);
      const { calls } = coordinator(0).client;
      let binding: readonly Constraint[] = [];
      await until("the task waits for a worker only", async () => {
        const { tasks } = await calls.explainJob(ExplainJobRequest.create({ jobId }));
        binding = tasks.find(({ stage }) => stage === "denoise")?.constraints ?? [];
        return binding.length === 1 && binding[0]?.kind === ConstraintKind.CONSTRAINT_KIND_MEMORY_MISSING;
      });
      expect(binding[0]?.message).toMatch(/^denoise\/\w+ needs more than 1\.0 GiB, the largest live worker of pool local .* has 1\.0 GiB$/);
      const failed = { worker: small.program.name, state: "failed", code: "STAGE_OUT_OF_MEMORY", charged: { capacity: 1 } };
      expect(await attemptsOf(farm, jobId)).toMatchObject([failed]);
      const needs =
        "select t.memory_bytes::bigint as task, e.memory_bytes::bigint as shape from task t join shape_estimate e on e.shape = t.shape";
      const ofJob = "join task_user u on u.task_id = t.id join render r on r.id = u.render_id where r.job_id = $1";
      const more = String(smallBytes + 1);
      expect(await farm.sql(`${needs} ${ofJob}`, [jobId])).toEqual([{ task: more, shape: more }]);

      await large.program.start();
      await expectSucceeded(jobId);
      expect(await attemptsOf(farm, jobId)).toMatchObject([failed, { worker: large.program.name, state: "succeeded" }]);
      await small.program.stop();
      await small.program.start();
    },
    timeoutMs,
  );
});

describe("the stream of events", () => {
  it(
    "deleted while work runs is made anew: nothing is lost, and a watch goes on",
    async () => {
      const { farm, coordinator, disturbed, expectUndisturbed } = scene();
      const { jobId } = await disturbed();
      const logger = createLogger({ name: "test", level: "silent" });
      const broker = await connectBroker({ url: farm.natsUrl, name: "test", logger });
      const subjects = subjectsOf("local");
      const heard: number[] = [];
      const watching = (async () => {
        for await (const { update } of coordinator(1).client.watch(jobId))
          if (update?.$case === "event") heard.push(Number(update.value.number));
      })();
      try {
        const { streams } = await jetstreamManager(broker.connection);
        await streams.delete(subjects.eventStream);
        await expectUndisturbed(jobId);
        await watching;
        const { last } = await jobOf(jobId);
        expect(heard).toEqual(Array.from({ length: last }, (_, index) => index + 1));
        await until("the last event is in the new stream", async () => {
          const copied = await streams.getMessage(subjects.eventStream, { last_by_subj: subjects.events(jobId) }).catch(() => null);
          return copied !== null && Number(JobEvent.decode(copied.data).number) === last;
        });
      } finally {
        await broker.close();
      }
    },
    timeoutMs,
  );
});

describe(`a full disk for artifacts (${disk.how})`, () => {
  it(
    "costs time and no run: what was computed is stored once there is room",
    async () => {
      const { farm, submit, expectUndisturbed } = scene();
      const writers = farm.workers.map(({ program }) => program.processId);
      await disk.fill(writers);
      const jobId = await submit(3);
      await until("the outputs are announced", async () => {
        const finishing = `select 1 from session s cross join jsonb_array_elements(s.progress) p join attempt a on a.id::text = p ->> 'attemptId'
          join task_user u on u.task_id = a.task_id join render r on r.id = u.render_id where r.job_id = $1 and p ->> 'phase' = 'finish'`;
        return (await farm.sql(finishing, [jobId])).length > 0;
      });
      await disk.free(writers);
      await expectUndisturbed(jobId);
    },
    timeoutMs,
  );
});
