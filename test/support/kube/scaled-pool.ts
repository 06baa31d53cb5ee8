/**
 * A pool of the farm on the stand-in cluster: the real store, client, informers and duties, with rounds that a test asks for.
 */
import { afterEach, beforeEach, expect } from "vitest";
import type { ClusterNode, ClusterPod, ScaleTarget, Source } from "../../../services/coordinator/kube/cluster.ts";
import { createDisruptions } from "../../../services/coordinator/kube/disruption-duty.ts";
import { createInformer, type Informer } from "../../../services/coordinator/kube/informer.ts";
import { createScaling, type ScalingOptions } from "../../../services/coordinator/kube/scaling-duty.ts";
import { createLogger } from "../../../services/platform/logging.ts";
import { epochOf } from "../store-duties.ts";
import { createWorker, submit, task, type Worker, type World } from "../store-world.ts";
import { type KubeApi, startKubeApi } from "./api-server.ts";
import { connectKube } from "./cluster-client.ts";
import { type Controlled, controlReplicas } from "./replica-sets.ts";

export const target: ScaleTarget = { kind: "Deployment", name: "cog" };
export const rule = { min: 0, max: 5, targetWaitMs: 30_000, downAfterMs: 0, idleMs: 0, loadMs: 1_000, probeMs: 3_600_000 };
const costAnnotation = "controller.kubernetes.io/pod-deletion-cost";
const logger = createLogger({ name: "test", level: "silent" });
const { signal } = new AbortController();

/** What a test has of the pool; its members are new for each test. */
export class ScaledPoolWorld {
  readonly api: KubeApi;
  readonly controlled: Controlled;
  readonly pods: Informer<ClusterPod>;
  readonly nodes: Informer<ClusterNode>;
  readonly options: ScalingOptions;
  /** What was asked of the cluster, in words. */
  readonly scaled: string[] = [];
  private readonly world: World;
  private readonly workers = new Map<string, Worker>();

  constructor(api: KubeApi, world: World) {
    this.api = api;
    this.world = world;
    api.objects.create("deployments", { name: "cog", spec: { replicas: 0 } });
    api.objects.create("nodes", { name: "node-1", status: { conditions: [{ type: "Ready", status: "True" }] } });
    this.controlled = controlReplicas(api, [{ kind: "deployments", name: "cog", pool: "pool" }]);
    const { cluster } = connectKube(api, { silenceMs: 60_000 });
    this.pods = watch("pods", cluster.pods);
    this.nodes = watch("nodes", cluster.nodes);
    this.options = {
      store: world.store,
      pools: [{ name: "pool", rule, target }],
      cluster,
      pods: this.pods,
      unknownTaskMs: 30_000,
      intervalMs: 1,
      now: () => Date.now(),
      logger,
      onCommitted: () => undefined,
      onScaled: ({ pool, direction }) => void this.scaled.push(`${pool} ${direction}`),
    };
  }

  async start(): Promise<void> {
    await Promise.all([this.pods.start(), this.nodes.start()]);
    await this.api.watched(2);
  }

  async stop(): Promise<void> {
    this.controlled.stop();
    await Promise.all([this.pods.stop(), this.nodes.stop()]);
    await this.api.stop();
  }

  replicas(): unknown {
    return this.api.objects.get("deployments", "cog")?.spec["replicas"];
  }

  costs(): readonly (string | undefined)[] {
    return this.controlled.pods().map((name) => this.api.objects.get("pods", name)?.metadata.annotations[costAnnotation]);
  }

  /** A round of scaling, with what is other than usual. */
  async round(given: Partial<ScalingOptions> = {}): Promise<void> {
    await this.seen();
    await createScaling({ ...this.options, ...given }).run(await epochOf(this.world, "scaling"), signal);
  }

  /** A round of disruptions; the causes that are new. */
  async disruptionRound(given: Partial<Parameters<typeof createDisruptions>[0]> = {}): Promise<readonly string[]> {
    await this.seen();
    const causes: string[] = [];
    const { pods, nodes, options } = this;
    const onDisrupted = (cause: string): void => void causes.push(cause);
    const duty = createDisruptions({ ...options, store: this.world.store, pools: ["pool"], pods, nodes, onDisrupted, ...given });
    await duty.run(await epochOf(this.world, "disruptions"), signal);
    return causes;
  }

  /** Every pod runs, and its worker is known; it claims nothing yet. */
  async startWorkers(): Promise<void> {
    for (const name of this.controlled.pods()) {
      if (this.workers.has(name)) continue;
      this.controlled.run(name);
      const worker = createWorker(this.world.store, { name });
      await worker.next({ freeSlots: 0 });
      this.workers.set(name, worker);
    }
  }

  worker(name = ""): Worker {
    const worker = this.workers.get(name);
    if (worker === undefined) throw new TypeError(`no worker ${name}`);
    return worker;
  }

  submit(...names: readonly string[]): Promise<string> {
    return submit(
      this.world.store,
      names.map((name) => task(name)),
    );
  }

  /** Until the informer has every pod as it is. */
  private async seen(): Promise<void> {
    const name = ({ metadata }: ReturnType<KubeApi["objects"]["list"]>[number]): string => metadata.name;
    await expect.poll(() => [...(this.pods.items()?.keys() ?? [])].sort().join()).toBe(this.api.objects.list("pods").map(name).join());
    for (const { metadata } of this.api.objects.list("pods")) {
      const cost = metadata.annotations[costAnnotation];
      const wanted = { isDeleting: metadata.deletionTimestamp !== undefined, deletionCost: cost === undefined ? undefined : Number(cost) };
      await expect.poll(() => this.pods.items()?.get(metadata.name)).toMatchObject(wanted);
    }
  }
}

function watch<T extends { readonly name: string }>(name: string, source: Source<T>): Informer<T> {
  const waits = { firstWaitMs: 4, mostWaitMs: 20, clock: () => performance.now() };
  return createInformer({ name, source, logger, onChange: () => undefined, draw: () => 0.5, ...waits });
}

/** Registers the hooks; call the result inside a test. */
export function useScaledPool(world: () => World): () => ScaledPoolWorld {
  let pool: ScaledPoolWorld;
  beforeEach(async () => {
    pool = new ScaledPoolWorld(await startKubeApi(), world());
    await pool.start();
  });
  afterEach(() => pool.stop());
  return () => pool;
}
