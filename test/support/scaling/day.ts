/**
 * A day of one pool in a second: seeded arrivals, workers that take minutes to load, spot losses, and the farm's own decisions every few
 * seconds, applied as a Deployment would.
 */
import { type ScaleMemory, decideScale, type ScalingRule } from "../../../services/domain/scaling.ts";
import { planScale, type ScalePod } from "../../../services/domain/scale-victims.ts";
import { createDraws, type Draws } from "./draws.ts";

export type DayOptions = {
  readonly seed: number;
  readonly rule: ScalingRule;
  /** Tasks that arrive in a second, by the second of the day. */
  readonly rate: (second: number) => number;
  /** So many tasks at once. */
  readonly bursts?: readonly { readonly second: number; readonly tasks: number }[];
  readonly meanTaskS: number;
  readonly loadS: readonly [number, number];
  /** Hours that a worker lives on average until its node is reclaimed; absent: for ever. */
  readonly spotHours?: number;
  /** Instead of deciding: so many, all day. */
  readonly fixed?: number;
};

export type DayFigures = {
  readonly tasks: number;
  readonly waitS: { readonly p50: number; readonly p95: number; readonly most: number };
  /** Of tasks that no burst brought. */
  readonly steadyWaitS: { readonly p50: number; readonly p95: number };
  readonly gpuHours: number;
  /** What the tasks computed: no fleet needs less. */
  readonly busyHours: number;
  readonly changes: number;
  /** Workers that were taken away and asked for again before `downAfterMs` was over. */
  readonly reversals: number;
  readonly most: number;
  readonly interrupted: number;
  readonly lost: number;
};

type SimTask = { readonly arrivedS: number; readonly isBurst: boolean; readonly lengthS: number; startedS: number | undefined };
type SimPod = {
  name: string;
  bornS: number;
  liveAtS: number;
  endsAtS: number;
  task: SimTask | undefined;
  leftS: number;
  cordoned: boolean;
  cost?: number;
};

const daySeconds = 24 * 3600;
const decideEveryS = 5;

/** Lives through the day, and until the last task has ended. */
export function liveDay(options: DayOptions): DayFigures {
  const day = new Day(options);
  for (let second = 0; second < daySeconds || day.hasWork(); second += 1) day.tick(second);
  return day.figures();
}

class Day {
  private readonly options: DayOptions;
  private readonly draws: Draws;
  private readonly queue: SimTask[] = [];
  private readonly all: SimTask[] = [];
  private pods: SimPod[] = [];
  private asked: number;
  private born = 0;
  private memory: ScaleMemory | undefined;
  private gpuSeconds = 0;
  private busySeconds = 0;
  private changes = 0;
  private reversals = 0;
  private downAtS = -Infinity;
  private most = 0;
  private interrupted = 0;
  private lost = 0;

  constructor(options: DayOptions) {
    this.options = options;
    this.draws = createDraws(options.seed);
    this.asked = options.fixed ?? 0;
  }

  hasWork(): boolean {
    return this.queue.length > 0 || this.pods.some(({ task }) => task !== undefined);
  }

  tick(second: number): void {
    if (second < daySeconds) this.arrive(second);
    this.work(second);
    if (this.options.fixed === undefined && second % decideEveryS === 0) this.decide(second);
    this.reconcile(second);
    this.gpuSeconds += this.pods.length;
    this.most = Math.max(this.most, this.pods.length);
  }

  figures(): DayFigures {
    const waits = (tasks: readonly SimTask[]) =>
      tasks.map(({ arrivedS, startedS = Infinity }) => startedS - arrivedS).sort((a, b) => a - b);
    const at = (sorted: readonly number[], share: number): number =>
      sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
    const [every, steady] = [waits(this.all), waits(this.all.filter(({ isBurst }) => !isBurst))];
    return {
      tasks: this.all.length,
      waitS: { p50: at(every, 0.5), p95: at(every, 0.95), most: at(every, 1) },
      steadyWaitS: { p50: at(steady, 0.5), p95: at(steady, 0.95) },
      gpuHours: this.gpuSeconds / 3600,
      busyHours: this.busySeconds / 3600,
      changes: this.changes,
      reversals: this.reversals,
      most: this.most,
      interrupted: this.interrupted,
      lost: this.lost,
    };
  }

  private arrive(second: number): void {
    const burst = (this.options.bursts ?? []).filter((each) => each.second === second).reduce((sum, { tasks }) => sum + tasks, 0);
    const add = (isBurst: boolean): void => {
      const task: SimTask = { arrivedS: second, isBurst, lengthS: this.draws.logNormal(this.options.meanTaskS), startedS: undefined };
      this.queue.push(task);
      this.all.push(task);
    };
    for (let count = this.draws.poisson(this.options.rate(second)); count > 0; count -= 1) add(false);
    for (let count = burst; count > 0; count -= 1) add(true);
  }

  private work(second: number): void {
    for (const pod of this.pods) {
      if (second < pod.liveAtS) continue;
      if (pod.task !== undefined) {
        this.busySeconds += 1;
        pod.leftS -= 1;
        if (pod.leftS <= 0) pod.task = undefined;
      }
      if (pod.task === undefined && !pod.cordoned) {
        const task = this.queue.shift();
        if (task === undefined) continue;
        task.startedS ??= second;
        pod.task = task;
        pod.leftS = task.lengthS;
      }
    }
  }

  private decide(second: number): void {
    const nowMs = second * 1000;
    const live = this.pods.filter(({ liveAtS }) => liveAtS <= second);
    const running = live.filter(({ task }) => task !== undefined);
    const workMs =
      1000 *
      (this.queue.length * this.options.meanTaskS +
        running.reduce((sum, { task, leftS }) => sum + Math.max(0, this.options.meanTaskS - ((task?.lengthS ?? 0) - leftS)), 0));
    const tenant = { ready: this.queue.length, running: running.length, waitingRenders: 0, workMs, maxRunning: undefined };
    const [least, longest] = this.options.loadS;
    const { desired, memory } = decideScale(this.options.rule, {
      work: { tenants: [tenant], isMore: false, unrunnable: 0 },
      fleet: {
        asked: this.asked,
        serving: live.filter(({ cordoned }) => !cordoned).length,
        startingAgesMs: this.pods.filter(({ liveAtS }) => liveAtS > second).map(({ bornS }) => nowMs - bornS * 1000),
        setAside: 0,
        loadMs: (1000 * (least + 3 * longest)) / 4,
      },
      nowMs,
      roundMs: decideEveryS * 1000,
      memory: this.memory,
    });
    this.memory = memory;
    this.apply(second, desired);
  }

  private apply(second: number, desired: number): void {
    const plan = planScale({ kind: "Deployment", asked: this.asked, desired, pods: this.pods.map((pod) => this.view(pod, second)) });
    const named = (name: string): SimPod | undefined => this.pods.find((pod) => pod.name === name);
    for (const name of plan.cordon) Object.assign(named(name) ?? {}, { cordoned: true });
    for (const name of plan.uncordon) Object.assign(named(name) ?? {}, { cordoned: false });
    for (const { pod, cost } of plan.costs) Object.assign(named(pod) ?? {}, { cost });
    if (plan.replicas === this.asked) return;
    this.changes += 1;
    if (plan.replicas < this.asked) this.downAtS = second;
    else if ((second - this.downAtS) * 1000 < this.options.rule.downAfterMs) this.reversals += 1;
    this.asked = plan.replicas;
  }

  private view(pod: SimPod, second: number): ScalePod {
    const worker = {
      workerId: pod.name,
      isSilent: false,
      cordon: pod.cordoned ? ("scaling" as const) : ("none" as const),
      running: pod.task === undefined ? 0 : 1,
      lossMs: pod.task === undefined ? 0 : 1000 * (pod.task.lengthS - pod.leftS),
      leftMs: 1000 * pod.leftS,
    };
    return {
      name: pod.name,
      createdAtMs: pod.bornS * 1000,
      deletionCost: pod.cost,
      worker: pod.liveAtS <= second ? worker : undefined,
      isYoung: true,
    };
  }

  /** As the cluster does: reclaimed nodes go, pods come and go until there are as many as asked for. */
  private reconcile(second: number): void {
    for (const pod of this.pods.filter(({ endsAtS }) => endsAtS <= second)) this.remove(pod, true);
    while (this.pods.length < this.asked) {
      const lifeS = this.options.spotHours === undefined ? Infinity : this.draws.exponential(this.options.spotHours * 3600);
      const liveAtS = second + this.draws.between(...this.options.loadS);
      this.pods.push({
        name: `pod-${(this.born += 1)}`,
        bornS: second,
        liveAtS,
        endsAtS: second + lifeS,
        task: undefined,
        leftS: 0,
        cordoned: false,
      });
    }
    const order = this.pods.toSorted(
      (a, b) => Number(a.liveAtS <= second) - Number(b.liveAtS <= second) || (a.cost ?? 0) - (b.cost ?? 0) || b.bornS - a.bornS,
    );
    for (const pod of order.slice(0, this.pods.length - this.asked)) {
      if (pod.task !== undefined) this.interrupted += 1;
      this.remove(pod, false);
    }
  }

  /** What it ran runs again, from the beginning. */
  private remove(pod: SimPod, isLost: boolean): void {
    this.pods = this.pods.filter((other) => other !== pod);
    if (isLost) this.lost += 1;
    if (pod.task !== undefined) this.queue.unshift(pod.task);
  }
}
