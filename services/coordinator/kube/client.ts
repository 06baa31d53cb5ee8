/**
 * The Kubernetes API through its own client: the scale subresource, pods and nodes. The one place, with account, transport and watch-stream, that
 * knows the package.
 */
import {
  AppsV1Api,
  type Configuration,
  CoreV1Api,
  createConfiguration,
  PatchStrategy,
  ServerConfiguration,
  setHeaderMiddleware,
  setHeaderOptions,
} from "@kubernetes/client-node";
import { FarmError } from "../../domain/errors.ts";
import { createAccount } from "./account.ts";
import type { Cluster, ClusterNode, ClusterPod, Listed, Scale, ScaleTarget, Source, WatchEvent } from "./cluster.ts";
import { deletionCostAnnotation, type Mapped, nodeFromKube, podFromKube, versionOf, workerSelector } from "./object-mapping.ts";
import { createTransport, type TransportOptions, unavailable } from "./transport.ts";
import { type RawEvent, readWatch, type WatchOptions } from "./watch-stream.ts";

export type ClientOptions = {
  readonly server: string;
  readonly accountFolder: string;
  readonly namespace: string;
  readonly version: string;
  readonly onAnswer: TransportOptions["onAnswer"];
  readonly timings?: Partial<ClientTimings>;
};

export type ClientTimings = {
  readonly requestMs: number;
  readonly firstWaitMs: number;
  readonly mostWaitMs: number;
  /** Longer than servers send bookmarks apart, which is about a minute. */
  readonly silenceMs: number;
  readonly pageSize: number;
};

const usual: ClientTimings = { requestMs: 10_000, firstWaitMs: 250, mostWaitMs: 5_000, silenceMs: 150_000, pageSize: 500 };
const tries = 4;
/** After which the server ends a watch in order. */
const watchSeconds = 300;

type Client = {
  readonly core: (signal: AbortSignal) => CoreV1Api;
  readonly apps: (signal: AbortSignal) => AppsV1Api;
  readonly watch: WatchOptions;
  readonly options: ClientOptions;
  readonly pageSize: number;
};

/** A cluster that nothing was asked of yet. */
export function createClusterClient(options: ClientOptions): Cluster {
  const { requestMs, firstWaitMs, mostWaitMs, silenceMs, pageSize } = { ...usual, ...options.timings };
  const account = createAccount({ server: options.server, folder: options.accountFolder, clock: () => performance.now() });
  const { onAnswer } = options;
  const transport: TransportOptions = { account, requestMs, tries, firstWaitMs, mostWaitMs, draw: Math.random, onAnswer };
  const configured = (signal: AbortSignal): Configuration =>
    createConfiguration({
      baseServer: new ServerConfiguration(options.server, {}),
      authMethods: { default: account },
      httpApi: createTransport(transport, signal),
      middleware: [setHeaderMiddleware("User-Agent", `vapfarm-coordinator/${options.version}`)],
    });
  const client: Client = {
    core: (signal) => new CoreV1Api(configured(signal)),
    apps: (signal) => new AppsV1Api(configured(signal)),
    watch: { account, openMs: requestMs, silenceMs, onAnswer },
    options,
    pageSize,
  };
  return {
    readScale: (target, signal) => readScale(client, target, signal),
    writeScale: (target, scale, signal) => writeScale(client, target, { scale, signal }),
    setDeletionCost: (pod, cost, signal) => setDeletionCost(client, { pod, cost, signal }),
    pods: podSource(client),
    nodes: nodeSource(client),
  };
}

async function readScale({ apps, options }: Client, { kind, name }: ScaleTarget, signal: AbortSignal): Promise<Scale> {
  const ask = { name, namespace: options.namespace };
  const api = apps(signal);
  const read = kind === "Deployment" ? api.readNamespacedDeploymentScale(ask) : api.readNamespacedStatefulSetScale(ask);
  const { metadata, spec } = await refused(read, `${kind} ${name}`);
  return { replicas: spec?.replicas ?? 0, resourceVersion: metadata?.resourceVersion ?? "" };
}

type Writing = { readonly scale: Scale; readonly signal: AbortSignal };

async function writeScale(
  { apps, options }: Client,
  { kind, name }: ScaleTarget,
  { scale, signal }: Writing,
): Promise<"written" | "conflict"> {
  const { namespace } = options;
  const { replicas, resourceVersion } = scale;
  const body = { apiVersion: "autoscaling/v1", kind: "Scale", metadata: { name, namespace, resourceVersion }, spec: { replicas } };
  const api = apps(signal);
  const ask = { name, namespace, body, fieldManager: "vapfarm" };
  const write = kind === "Deployment" ? api.replaceNamespacedDeploymentScale(ask) : api.replaceNamespacedStatefulSetScale(ask);
  return await unless(
    409,
    refused(write, `${kind} ${name}`).then(() => "written" as const),
    "conflict",
  );
}

type Costing = { readonly pod: string; readonly cost: number | undefined; readonly signal: AbortSignal };

async function setDeletionCost({ core, options }: Client, { pod: name, cost, signal }: Costing): Promise<"written" | "gone"> {
  const body = { metadata: { annotations: { [deletionCostAnnotation]: cost === undefined ? null : String(cost) } } };
  const merge = setHeaderOptions("Content-Type", PatchStrategy.MergePatch);
  const patch = core(signal).patchNamespacedPod({ name, namespace: options.namespace, body, fieldManager: "vapfarm" }, merge);
  return await unless(
    404,
    refused(patch, `pod ${name}`).then(() => "written" as const),
    "gone",
  );
}

function podSource(client: Client): Source<ClusterPod> {
  const { core, options, pageSize: limit } = client;
  const { namespace } = options;
  return {
    list: (signal) =>
      listAll(podFromKube, (_continue) =>
        refused(core(signal).listNamespacedPod({ namespace, labelSelector: workerSelector, limit, ..._continue }), "pods"),
      ),
    watch: (resourceVersion, onEvent, signal) =>
      watch(client, {
        path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods`,
        query: { labelSelector: workerSelector, resourceVersion },
        onEvent: (raw) => forward(raw, podFromKube, onEvent),
        signal,
      }),
  };
}

function nodeSource(client: Client): Source<ClusterNode> {
  const { core, pageSize: limit } = client;
  return {
    list: (signal) => listAll(nodeFromKube, (_continue) => refused(core(signal).listNode({ limit, ..._continue }), "nodes")),
    watch: (resourceVersion, onEvent, signal) =>
      watch(client, { path: "/api/v1/nodes", query: { resourceVersion }, onEvent: (raw) => forward(raw, nodeFromKube, onEvent), signal }),
  };
}

type Page = { readonly items: readonly unknown[]; readonly metadata?: { readonly resourceVersion?: string; readonly _continue?: string } };

/** Lists that expired between two pages, in a row. */
const mostExpired = 3;

/** Page by page, all of one version; a list that expired between two pages begins anew. */
async function listAll<T>(
  map: (object: unknown) => Mapped<T> | undefined,
  read: (ask: { readonly _continue?: string }) => Promise<Page>,
): Promise<Listed<T>> {
  let [items, token, expired]: [T[], string | undefined, number] = [[], undefined, 0];
  for (;;) {
    const page: Page | undefined = await unless(410, read(token === undefined ? {} : { _continue: token }), undefined);
    if (page === undefined) {
      expired += 1;
      if (expired >= mostExpired) throw unavailable(undefined, "the list expired while it was read");
      [items, token] = [[], undefined];
      continue;
    }
    items.push(...page.items.flatMap((object) => map(object)?.item ?? []));
    token = page.metadata?._continue;
    if (token === undefined || token === "") return { items, resourceVersion: page.metadata?.resourceVersion ?? "" };
  }
}

type WatchAsk = {
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly onEvent: (event: RawEvent) => void;
  readonly signal: AbortSignal;
};

function watch({ watch: options, options: { server } }: Client, { path, query, onEvent, signal }: WatchAsk) {
  const address = new URL(server + path);
  for (const [name, value] of Object.entries({
    ...query,
    watch: "true",
    allowWatchBookmarks: "true",
    timeoutSeconds: String(watchSeconds),
  }))
    address.searchParams.set(name, value);
  return readWatch(options, { address, onEvent, signal });
}

/** One that cannot be read any more (its labels changed) is gone. */
function forward<T>(
  { type, object }: RawEvent,
  map: (object: unknown) => Mapped<T> | undefined,
  onEvent: (event: WatchEvent<T>) => void,
): void {
  const about = versionOf(object) ?? { name: "", resourceVersion: bookmarkVersion(object) };
  const { name, resourceVersion } = about;
  if (resourceVersion === "") return;
  const mapped = type === "ADDED" || type === "MODIFIED" ? map(object) : undefined;
  if (mapped !== undefined) onEvent({ kind: "set", item: mapped.item, resourceVersion });
  else if (type === "BOOKMARK") onEvent({ kind: "bookmark", resourceVersion });
  else if (name !== "") onEvent({ kind: "gone", name, resourceVersion });
}

/** A bookmark has a version and nothing else. */
function bookmarkVersion(object: unknown): string {
  const { metadata } = (object ?? {}) as { readonly metadata?: { readonly resourceVersion?: unknown } };
  return typeof metadata?.resourceVersion === "string" ? metadata.resourceVersion : "";
}

const codeOf = (thrown: unknown): number => Number((thrown as { readonly code?: unknown } | undefined)?.code);

/** What the API answered with no success: 4xx but for "too many" will not do better by itself. */
async function refused<T>(call: Promise<T>, what: string): Promise<T> {
  try {
    return await call;
  } catch (thrown) {
    if (thrown instanceof FarmError) throw thrown;
    const status = codeOf(thrown);
    const isLater = !Number.isFinite(status) || status === 429 || status >= 500;
    const message = `${what}: ${Number.isFinite(status) ? `answered with ${status}` : "no answer that can be read"}`;
    throw new FarmError(isLater ? "KUBERNETES_UNAVAILABLE" : "KUBERNETES_REFUSED", { message, cause: thrown, details: { status } });
  }
}

/** The value where the API answered with the status. */
async function unless<T, U>(status: number, call: Promise<T>, value: U): Promise<T | U> {
  try {
    return await call;
  } catch (thrown) {
    if (thrown instanceof FarmError && thrown.details["status"] === status) return value;
    throw thrown;
  }
}
