/**
 * What clients, operators and duties do in a play.
 */
import { reapStatement } from "../../../services/coordinator/store/sql/duties.ts";
import type { HoldTarget, SubmitJob } from "../../../services/coordinator/store/store-contract.ts";
import { retryTable } from "../../../services/domain/retry.ts";
import type { PlannedTask } from "../../../services/domain/planned-task.ts";
import { batch, diamond, sha256, task } from "../store-world.ts";
import {
  collect as collectModel,
  promote as promoteModel,
  reap as reapModel,
  reapLate as reapLateModel,
  soundCanary,
} from "./model-duties.ts";
import { readIds } from "./model-picture.ts";
import { cancel as cancelModel, named, retry as retryModel, settleJobs, submit as submitModel } from "./model-jobs.ts";
import { liveSessions, type Play, same, storeOf } from "./play.ts";
import { isOpenRender } from "../../../services/domain/render-state.ts";
import { isRunning } from "./queue-model.ts";
import { askAhead, beat, chosen, fetches, lapseOf, type Operation, type Picks, work } from "./worker-operations.ts";

const noName = { by: "test", reason: "" };

/** Tasks of one sharing domain; the second is another tenant's. */
function plansOf(pick: number): readonly (readonly PlannedTask[])[] {
  const domain = `${pick % 2}`;
  const left = task("left", { domain, shape: "prepare/-" });
  // All that its last task gives is handed out, and so kept when what it was made from is collected.
  const whole = { left, last: task("last", { domain, after: ["middle"], artifacts: ["mp4", "out"] }) } as const;
  const square = diamond(domain).map((each) => (each.label === "left" || each.label === "last" ? whole[each.label] : each));
  const pair = [left, task("other", { domain, after: ["left"], artifacts: ["out"] })];
  const own = [task(`own ${pick % 5}`, { domain, artifacts: ["mp4"] })];
  return [[square], [pair], [square, pair, own], [pair, own], [own, own]][Math.floor(pick / 2) % 5] ?? [];
}

/** A new job of those renders. */
export function jobOf(play: Play, plans: readonly (readonly PlannedTask[])[], [what, how]: readonly [number, number]): SubmitJob {
  play.jobs += 1;
  return batch(plans, {
    jobId: `j${play.jobs}`,
    tenant: what % 2 === 1 ? "guest" : "local",
    idempotencyKey: `key ${play.jobs}`,
    bodyDigest: sha256(`${play.jobs}`),
    priority: how % 5,
    jobClass: how % 4 === 0 ? "benchmark" : "production",
  });
}

export async function submitJob(play: Play, job: SubmitJob): Promise<void> {
  play.log.push(
    `job ${job.jobId} of ${job.tenant}: ${job.renders.map(({ tasks }) => tasks.map(({ label }) => label).join("+")).join(" | ")}`,
  );
  const outcome = await storeOf(play)?.submitJob(job);
  submitModel(play.model, job);
  if (outcome !== undefined) same("submit", outcome.kind, "stored");
  if (play.real !== undefined) await readIds(play.real.world, play.model);
}

const submit: Operation = async (play, [what, how, again]) => {
  const job = jobOf(play, plansOf(what), [what, how]);
  await submitJob(play, job);
  // A client that heard no answer asks again; another body under the same key is refused.
  if (again % 6 > 1) return;
  const repeat = await storeOf(play)?.submitJob(again % 6 === 0 ? job : { ...job, jobId: "other", bodyDigest: sha256("other") });
  if (repeat !== undefined) same("submit again", repeat.kind, again % 6 === 0 ? "repeated" : "conflict");
};

/** A job, and one of its renders or all of them. */
function target({ model }: Play, [which, how]: Picks): { readonly jobId: string; readonly position: number | undefined } {
  return { jobId: chosen(model.jobs, which)?.id ?? "none", position: how % 2 === 0 ? undefined : how % 4 };
}

const cancel: Operation = async (play, picks) => {
  await cancelIn(play, target(play, picks));
};

/** Cancels a render of a job, or all of them. */
export async function cancelIn(play: Play, { jobId, position }: ReturnType<typeof target>): Promise<void> {
  const renders = named(play.model, jobId, position);
  play.log.push(`cancel ${jobId}/${position ?? "*"}`);
  const outcome = await storeOf(play)?.cancelJob(undefined, jobId, position);
  if (play.real !== undefined) same("cancel", outcome !== undefined, renders !== undefined);
  cancelModel(play.model, renders ?? []);
}

const retry: Operation = async (play, picks) => {
  const { jobId, position } = target(play, picks);
  const renders = named(play.model, jobId, position);
  play.log.push(`retry ${jobId}/${position ?? "*"}`);
  const outcome = await storeOf(play)?.retryJob(undefined, jobId, position);
  const again = retryModel(play.model, renders ?? []);
  if (play.real === undefined) return;
  same("retry", outcome?.kind, renders === undefined ? undefined : again.length > 0 ? "retried" : "nothing");
  if (outcome?.kind === "retried") same("renders that run again", outcome.renders, again.length);
};

export async function setPriority(play: Play, jobId: string, priority: number): Promise<void> {
  const job = play.model.jobs.find(({ id }) => id === jobId);
  play.log.push(`${jobId} gets priority ${priority}`);
  const outcome = await storeOf(play)?.updateJob(undefined, jobId, { priority });
  const isOpen = job !== undefined && isOpenRender(job.state);
  if (job !== undefined && isOpen) job.priority = priority;
  if (play.real !== undefined) same("update", outcome?.kind, job === undefined ? undefined : isOpen ? "updated" : "ended");
}

const update: Operation = (play, picks) => setPriority(play, target(play, picks).jobId, picks[2] % 7);

/** The duty's epoch; it is held for as long as a play lasts. */
export async function epochOf(play: Play, duty: string): Promise<number> {
  const known = play.epochs.get(duty) ?? (await storeOf(play)?.holdDuty(duty, "test", 3_600_000))?.epoch ?? 0;
  play.epochs.set(duty, known);
  return known;
}

const reap: Operation = async (play, [how]) => {
  const canary = how % 5 === 0 ? undefined : soundCanary;
  play.log.push(`reap ${canary === undefined ? "without a canary" : ""}`);
  await play.real?.world.sql("delete from canary");
  if (canary !== undefined) {
    await play.real?.world.sql("insert into canary (last_at, unbroken_since) values (now(), now() - interval '10 days')");
  }
  const outcome = await storeOf(play)?.reap(await epochOf(play, "reaper"));
  const ended = reapModel(play.model, canary);
  if (outcome !== undefined) same("reaped", { sessions: outcome.sessions, attempts: outcome.attempts }, ended);
};

/** Nobody hears for a lease of a worker that holds something, rather of one that was promised something, until the reaper comes. */
const vanish: Operation = async (play, [which]) => {
  const held = [...play.model.attempts.values()].filter((attempt) => isRunning(attempt) && attempt.session.isLive);
  const promised = held.filter(({ place }) => place === "reserved");
  const lost = chosen(promised.length > 0 ? promised : held, which);
  if (lost !== undefined) await lapseOf(play, lost.session);
  await reap(play, [1, 0, 0]);
};

/** Applies what was decided from a snapshot in which every lease was over. */
const reapLate: Operation = async (play) => {
  play.log.push("reap, from an older snapshot");
  const sessions = liveSessions(play.model);
  const values = [await epochOf(play, "reaper"), sessions.map(({ id }) => id), JSON.stringify(retryTable), 3_600_000];
  const [row] = (await play.real?.world.sql<{ result: object }>(reapStatement.text, values)) ?? [];
  const ended = reapLateModel(play.model, sessions);
  if (row !== undefined) same("reaped", { ...row.result, aftermath: undefined }, { ...ended, aftermath: undefined });
};

const promote: Operation = async (play) => {
  play.log.push("back-offs and quarantines are over");
  await play.real?.world.sql("update quarantine set ends_at = now() - interval '1 second'");
  play.model.quarantines.clear();
  await play.real?.world.sql("update task set delayed_until = now() - interval '1 second' where state = 'delayed'");
  await storeOf(play)?.promoteDelayed(await epochOf(play, "promotion"));
  promoteModel(play.model);
};

const collect: Operation = async (play) => {
  play.log.push("collect");
  const store = storeOf(play);
  await play.real?.world.sql("update artifact set condemned_at = condemned_at - interval '2 days'");
  for (const hash of (await store?.condemnArtifacts(await epochOf(play, "collection"))) ?? []) {
    await store?.collectArtifact(hash, () => Promise.resolve());
  }
  collectModel(play.model);
};

/** Takes away what nothing needs any more, and asks for a render that may have been made of it. */
const revisit: Operation = async (play, [what, how, again]) => {
  // What is condemned in one round is collected in the next.
  for (let round = 0; round < 2; round += 1) await collect(play, [what, how, again]);
  await submitJob(play, jobOf(play, plansOf(what % 4), [what, how]));
};

/** Repairs what should never be: there is nothing. */
const sweep: Operation = async (play) => {
  play.log.push("sweep");
  const swept = await storeOf(play)?.sweep(await epochOf(play, "sweep"));
  if (swept !== undefined) same("repairs", swept.repaired, 0);
  settleJobs(play.model);
};

const targets: readonly HoldTarget[] = [
  { scope: "tenant", name: "guest" },
  { scope: "tenant", name: "local" },
  { scope: "pool", name: "pool" },
  { scope: "farm", name: "" },
];

async function placeHold(play: Play, held: HoldTarget): Promise<void> {
  play.log.push(`hold ${held.scope} ${held.name}`);
  await storeOf(play)?.placeHold(held, noName);
  play.model.holds.add(`${held.scope}/${held.name}`);
}

const hold: Operation = async (play, [which]) => {
  const held = chosen(targets, which);
  if (held !== undefined) await placeHold(play, held);
};

/**
 * A worker is promised a task, and mostly says that it fetches for it; one that is free works until nothing else is left. Sometimes the
 * task's tenant is held by then.
 */
const contend: Operation = async (play, [who, how, what]) => {
  await askAhead(play, [who, how % 6, 1]);
  const promised = [...play.model.attempts.values()].findLast(({ place }) => place === "reserved");
  if (promised !== undefined && how % 3 === 0) await placeHold(play, { scope: "tenant", name: promised.task.tenant });
  if (how % 3 < 2) await beat(play, [who, fetches, 0]);
  await work(play, [who + 1, 4, what]);
};

const release: Operation = async (play) => {
  play.log.push("release all holds");
  for (const held of targets) {
    const outcome = await storeOf(play)?.releaseHold(held);
    const wasHeld = play.model.holds.delete(`${held.scope}/${held.name}`);
    if (play.real !== undefined) same("release", outcome !== undefined, wasHeld);
  }
};

const cordon: Operation = async (play, [which, how]) => {
  const name = chosen(play.agents, which)?.name ?? "";
  const isDrained = how % 2 === 0;
  play.log.push(`${isDrained ? "drain" : "cordon"} ${name}`);
  const store = storeOf(play);
  const outcome = await (isDrained ? store?.drainWorker(name, noName, 0) : store?.cordonWorker(name, noName));
  const isKnown = play.model.workers.has(name);
  if (play.real !== undefined) same("cordon", outcome !== undefined, isKnown);
  if (isKnown) play.model.cordons.set(name, { isDrained });
};

const uncordon: Operation = async (play) => {
  play.log.push("uncordon all workers");
  for (const { name } of play.agents) {
    await storeOf(play)?.uncordonWorker(name);
    play.model.cordons.delete(name);
  }
};

export const farmOperations = {
  submit,
  cancel,
  retry,
  update,
  reap,
  vanish,
  reapLate,
  promote,
  collect,
  revisit,
  sweep,
  hold,
  contend,
  release,
  cordon,
  uncordon,
};
