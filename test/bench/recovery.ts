/**
 * How long a farm of two coordinators and two workers takes to go on after each kind of loss, and whether a run was lost with it.
 *
 * Times are the database's (the same machine's clock): from the deed, or from the moment at which what was killed is back, to the first commit
 * that shows it. The full form has the farm's own lease; each figure is of one loss.
 */
import type { Coordinator, FaultFarm, Worker } from "../support/fault/farm.ts";
import { startFaultFarm } from "../support/fault/farm.ts";
import {
  attemptsOf,
  denoiseOf,
  denoising,
  endsOf,
  requestOf,
  type Running,
  submitPatiently,
  uploadInputs,
} from "../support/fault/renders.ts";
import { until } from "../support/until.ts";
import type { Bench, Figure } from "./report.ts";

const farmLeaseMs = 15_000;
const shortLeaseMs = 5_000;
/** The most that a render may have; what is left after a loss is cancelled. */
const steps = 1_000;
const longestMs = 120_000;
/** What is heard so soon after a deed was on its way before it. */
const onItsWayMs = 200;

type Scene = { readonly farm: FaultFarm; render(): Promise<string>; cancel(jobId: string): Promise<void> };
type Disturbed = Scene & { readonly jobId: string; readonly running: Running; readonly worker: Worker };

type Loss = {
  readonly name: string;
  readonly goal?: string;
  /** Also in the short form. */
  readonly inShort: boolean;
  /** The run goes on elsewhere: a second attempt is what is waited for. */
  readonly losesRun: boolean;
  /** Does it; the ms since the epoch from which the time counts. */
  strike(scene: Disturbed): Promise<number>;
};

const links = (coordinators: readonly Coordinator[], kind: "nats" | "postgres") => coordinators.map((one) => one[kind]);

async function comeBack(programs: readonly { kill(): Promise<void>; start(): Promise<void> }[]): Promise<number> {
  await Promise.all(programs.map((program) => program.kill()));
  await Promise.all(programs.map((program) => program.start()));
  return Date.now();
}

const losses: readonly Loss[] = [
  {
    name: "worker killed: its task runs again",
    goal: "≤ lease + 5 s",
    inShort: true,
    losesRun: true,
    async strike({ worker }) {
      const at = Date.now();
      await worker.program.kill();
      return at;
    },
  },
  {
    name: "worker frozen: its task runs again",
    goal: "≤ lease + 5 s",
    inShort: false,
    losesRun: true,
    async strike({ worker }) {
      await worker.program.freeze();
      return Date.now();
    },
  },
  {
    name: "runtime killed: its task runs again",
    inShort: false,
    losesRun: true,
    async strike({ worker }) {
      process.kill(await worker.runtimeId(), "SIGKILL");
      return Date.now();
    },
  },
  {
    name: "both coordinators killed: first commit once back",
    goal: "≤ 5 s, no run killed",
    inShort: true,
    losesRun: false,
    strike: ({ farm }) => comeBack(farm.coordinators.map(({ program }) => program)),
  },
  {
    name: "NATS killed: first commit once back",
    goal: "≤ 5 s, no run killed",
    inShort: false,
    losesRun: false,
    strike: ({ farm }) => comeBack([farm.nats]),
  },
  {
    name: "Postgres killed: first commit once back",
    goal: "≤ 5 s, no run killed",
    inShort: true,
    losesRun: false,
    strike: ({ farm }) => comeBack([farm.postgres]),
  },
  {
    name: "link worker–NATS cut: heard again",
    inShort: false,
    losesRun: false,
    strike: ({ worker }) => struck(() => worker.nats.cut()),
  },
  {
    name: "link worker–NATS half-open: heard again",
    inShort: false,
    losesRun: false,
    strike: ({ worker }) => struck(() => worker.nats.abandon("up", "down")),
  },
  {
    name: "links coordinators–NATS half-open: first commit",
    inShort: false,
    losesRun: false,
    strike: ({ farm }) => struck(() => links(farm.coordinators, "nats").forEach((link) => link.abandon("up", "down"))),
  },
  {
    name: "links coordinators–Postgres cut: first commit",
    inShort: false,
    losesRun: false,
    strike: ({ farm }) => struck(() => links(farm.coordinators, "postgres").forEach((link) => link.cut())),
  },
  {
    name: "links coordinators–Postgres half-open: first commit",
    inShort: false,
    losesRun: false,
    strike: ({ farm }) => struck(() => links(farm.coordinators, "postgres").forEach((link) => link.abandon("up", "down"))),
  },
];

/** What takes no time. */
function struck(deed: () => void): Promise<number> {
  deed();
  return Promise.resolve(Date.now());
}

export const recovery: Bench = {
  name: "recovery of a farm of 2 coordinators, 2 workers, Postgres with fsync, NATS, all on this machine",
  notMeasured: "machines and disks that are lost with their data; a network between machines; more than two workers",
  async run(short) {
    const leaseMs = short ? shortLeaseMs : farmLeaseMs;
    const farm = await startFaultFarm({ leaseMs });
    try {
      const [first] = farm.coordinators;
      if (first === undefined) throw new TypeError("a farm has a coordinator");
      const inputs = await uploadInputs(first.client);
      let seed = 0;
      const render = (): Promise<string> => submitPatiently(first.client, requestOf({ inputs, seed: (seed += 1), steps }));
      const cancel = async (jobId: string): Promise<void> => {
        await until(
          "the job is cancelled",
          () =>
            first.client.cancel(jobId).then(
              () => true,
              () => false,
            ),
          longestMs,
        );
      };
      await endsOf(farm, [await submitPatiently(first.client, requestOf({ inputs, seed: 0, steps: 2 }))], longestMs);
      const figures: Figure[] = [{ name: "lease", value: leaseMs, unit: "ms" }];
      for (const loss of losses.filter(({ inShort }) => inShort || !short))
        figures.push(...(await measure({ farm, render, cancel }, loss)));
      return figures;
    } finally {
      await farm.stop();
    }
  },
};

async function measure(scene: Scene, loss: Loss): Promise<readonly Figure[]> {
  const { recoveryMs, lostRuns } = await once(scene, loss);
  const { name, goal } = loss;
  const recovered: Figure = { name, value: Math.round(recoveryMs), unit: "ms", ...(goal === undefined ? {} : { goal }) };
  return loss.losesRun ? [recovered] : [recovered, { name: "  runs lost with it", value: lostRuns, unit: "", goal: "0" }];
}

async function once(scene: Scene, loss: Loss): Promise<{ readonly recoveryMs: number; readonly lostRuns: number }> {
  const { farm } = scene;
  const jobId = await scene.render();
  const running = await denoising(farm, jobId);
  const worker = farm.workers.find(({ program }) => program.name === running.worker);
  if (worker === undefined) throw new TypeError("a run has a worker");
  const fromMs = await loss.strike({ ...scene, jobId, running, worker });
  const atMs = await firstCommit(farm, { fromMs, ...running, jobId, losesRun: loss.losesRun });
  await farm.restore();
  const goesOn = async (): Promise<boolean> => ((await denoiseOf(farm, jobId))?.step ?? 0) > running.step;
  const hasEnded = async (): Promise<boolean> => (await attemptsOf(farm, jobId)).at(-1)?.state === "succeeded";
  await until("a run goes on", async () => (await goesOn()) || (await hasEnded()), longestMs);
  const lostRuns = (await attemptsOf(farm, jobId)).length - 1;
  await scene.cancel(jobId);
  return { recoveryMs: atMs - fromMs, lostRuns };
}

type Sought = { readonly fromMs: number; readonly jobId: string; readonly attemptId: string; readonly losesRun: boolean };

/** When the database took the first word of the run's next attempt, or of its worker's session. */
async function firstCommit(farm: FaultFarm, { fromMs, jobId, attemptId, losesRun }: Sought): Promise<number> {
  const again = `select min(extract(epoch from a.started_at)) * 1000 as at from attempt a join task_user u on u.task_id = a.task_id
    join render r on r.id = u.render_id where r.job_id = $1 and a.id <> $2::uuid and extract(epoch from a.started_at) * 1000 > $3`;
  const heard = `select extract(epoch from s.last_heard_at) * 1000 as at from session s join worker w on w.session_id = s.id
    join attempt a on a.worker_id = w.id where a.id = $1::uuid and extract(epoch from s.last_heard_at) * 1000 > $2`;
  let at: number | undefined;
  await until(
    "it is heard of again",
    async () => {
      const [row] = losesRun
        ? await farm.sql<{ at: string | null }>(again, [jobId, attemptId, fromMs])
        : await farm.sql<{ at: string | null }>(heard, [attemptId, fromMs + onItsWayMs]);
      at = row?.at == null ? undefined : Number(row.at);
      return at !== undefined;
    },
    longestMs,
  );
  return at ?? Number.NaN;
}
