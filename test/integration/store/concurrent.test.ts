import { expect, test } from "vitest";
import type { ClaimView, Disposition, Store } from "../../../services/coordinator/store/store-contract.ts";
import { checkInvariants } from "../../support/store-invariants.ts";
import { useWorld } from "../../support/store-suite.ts";
import { createWorker, diamond, failure, submit, success, type Worker } from "../../support/store-world.ts";

const world = useWorld();

/** What workers were told. */
type Journal = {
  readonly claims: ClaimView[];
  readonly answers: { readonly attemptId: string; readonly isSuccess: boolean; readonly disposition: Disposition }[];
};

/** The same report through both coordinators at once, as a message that was doubled; both answers must be one. */
async function reportTwice(
  stores: readonly Store[],
  worker: Worker,
  { claim, isSuccess }: { readonly claim: ClaimView; readonly isSuccess: boolean },
) {
  const reports = [isSuccess ? success(claim) : failure(claim, "RUNTIME_DIED")];
  worker.held.delete(claim.attemptId);
  const ask = { sessionId: worker.sessionId, sequence: worker.nextSequence(), farmEpoch: 0, reports };
  const answers = (await Promise.all(stores.map((store) => store.report([ask])))).flat();
  const told = answers.flatMap((answer) => (answer.kind === "answered" ? answer.reportOutcomes.map(({ disposition }) => disposition) : []));
  const [disposition] = told;
  if (disposition === undefined) throw new TypeError("a report was refused");
  expect(told).toEqual([disposition, disposition]);
  expect(answers.map((answer) => answer.kind === "answered" && answer.replayed).toSorted()).toEqual([false, true]);
  return { attemptId: claim.attemptId, isSuccess, disposition };
}

async function work(stores: readonly Store[], index: number, journal: Journal): Promise<void> {
  const [own] = stores;
  if (own === undefined) throw new TypeError("no store");
  let worker = createWorker(own, { name: `w${index}` });
  for (let count = 0; count < 25; count += 1) {
    const { claim } = await worker.next();
    if (claim === undefined) continue;
    journal.claims.push(claim);
    // It dies with its claim; its next life, or a later report of this one, finds that it was taken away.
    const former = worker;
    const dies = (index + count) % 7 === 0;
    if (dies) {
      worker = createWorker(own, { name: `w${index}` });
      await worker.next({ freeSlots: 0 });
    }
    journal.answers.push(await reportTwice(stores, former, { claim, isSuccess: dies || (index + count) % 6 > 0 }));
  }
}

async function submitAndCancel(stores: readonly Store[], index: number): Promise<void> {
  const [own, other] = stores;
  for (let count = 0; count < 8 && own !== undefined; count += 1) {
    const jobId = await submit(own, diamond(`${(index + count) % 4}`));
    if (count % 3 === 0) await other?.cancelJob("local", jobId);
  }
}

/** Works off everything that is left. */
async function settle(store: Store, journal: Journal): Promise<void> {
  const worker = createWorker(store, { name: "last" });
  for (let claim = (await worker.next()).claim; claim !== undefined; claim = (await worker.next()).claim) {
    journal.claims.push(claim);
    const [answer] = await worker.succeed(claim);
    const disposition = answer?.kind === "answered" ? answer.reportOutcomes[0]?.disposition : undefined;
    journal.answers.push({ attemptId: claim.attemptId, isSuccess: true, disposition: disposition ?? "superseded" });
  }
}

/** What clients were told against what is stored: as if all had been said one after another. */
async function checkJournal({ claims, answers }: Journal): Promise<void> {
  const { sql } = world();
  const attempts = await sql<{ id: string; state: string; disposition: string | null }>("select id, state, disposition from attempt");
  expect(claims.map(({ attemptId }) => attemptId).toSorted()).toEqual(attempts.map(({ id }) => id).toSorted());
  const byId = new Map(attempts.map((attempt) => [attempt.id, attempt]));
  for (const { attemptId, isSuccess, disposition } of answers) {
    const ended = disposition === "committed" ? (isSuccess ? "succeeded" : "failed") : "lost";
    expect([attemptId, byId.get(attemptId)]).toEqual([attemptId, { id: attemptId, state: ended, disposition }]);
  }
  expect(
    await sql(`select a.task_id from attempt a join attempt b on b.task_id = a.task_id and b.number = a.number + 1
      where b.started_at < a.ended_at or a.ended_at is null`),
  ).toEqual([]);
  expect(
    await sql(`select t.id, t.state from task t where (t.state = 'succeeded')::integer <>
      (select count(*) from attempt a where a.task_id = t.id and a.state = 'succeeded' and a.disposition = 'committed')`),
  ).toEqual([]);
}

test("what many workers are told at once through two coordinators is what is stored, and no task has two attempts or two results", async () => {
  const { store, sql, openAnother } = world();
  const another = await openAnother();
  const journal: Journal = { claims: [], answers: [] };
  const through = (index: number): readonly Store[] => (index % 2 === 0 ? [store, another] : [another, store]);
  await Promise.all([
    ...[0, 1].map((index) => submitAndCancel(through(index), index)),
    ...Array.from({ length: 5 }, (_unused, index) => work(through(index), index, journal)),
  ]);
  await checkInvariants(world());
  await settle(store, journal);
  await checkInvariants(world());
  await checkJournal(journal);
  expect(await sql("select state from job where state in ('queued', 'running')")).toEqual([]);
});
