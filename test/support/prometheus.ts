/**
 * A running Prometheus of a test's own: on loopback, on a free port, scraping each second, ended with the test's process.
 */
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { stringify } from "yaml";
import { FarmError } from "../../services/domain/errors.ts";
import { withDeadline } from "../../services/platform/deadline.ts";
import { freePort } from "../../services/platform/programs/free-port.ts";
import { spawnGuarded } from "../../services/platform/programs/guardian.ts";
import { findPrometheus } from "./prometheus-program.ts";
import { until } from "./until.ts";

/** What is scraped: `host:port` below one job name, with labels that the scrape adds. */
export type ScrapeTarget = { readonly job: string; readonly address: string; readonly labels?: Readonly<Record<string, string>> };

export type Sample = { readonly labels: Readonly<Record<string, string>>; readonly value: number };

export type FiredAlert = {
  readonly name: string;
  readonly state: "pending" | "firing";
  /** When its expression began to hold. */
  readonly since: Date;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
};

export type TestPrometheus = {
  readonly url: string;
  /** Samples of an instant query; one that is refused throws with what Prometheus says. */
  query(expression: string): Promise<readonly Sample[]>;
  /** Samples of a range query that are numbers, all series together. */
  queryRange(expression: string, range: { readonly from: Date; readonly to: Date; readonly stepS: number }): Promise<readonly Sample[]>;
  /** Values of a label, as Grafana's `label_values(selector, label)` asks for them. */
  labelValues(label: string, selector: string): Promise<readonly string[]>;
  alerts(): Promise<readonly FiredAlert[]>;
  /** Resolves once each target was scraped so many times more, whether it answered or not. */
  scraped(times: number): Promise<void>;
  stop(): Promise<void>;
};

export type PrometheusOptions = {
  readonly targets: readonly ScrapeTarget[];
  readonly ruleFiles?: readonly string[];
};

const startMs = 30_000;
const stopMs = 15_000;
const requestMs = 20_000;

/** Starts one and returns once it answers. */
export async function startPrometheus(options: PrometheusOptions): Promise<TestPrometheus> {
  const { prometheus } = await findPrometheus();
  const folder = await mkdtemp(join(tmpdir(), "vapfarm-prometheus-"));
  const configuration = join(folder, "prometheus.yaml");
  await writeFile(configuration, stringify(configurationOf(options)));
  const port = await freePort();
  const address = `127.0.0.1:${port}`;
  const flags = [`--config.file=${configuration}`, `--storage.tsdb.path=${join(folder, "data")}`, `--web.listen-address=${address}`];
  const child = spawnGuarded({ command: [prometheus, ...flags], endSignal: "TERM" });
  const said: string[] = [];
  createInterface({ input: child.stderr }).on("line", (line) => {
    said.push(line);
    if (said.length > 20) said.shift();
  });
  const ended = once(child, "exit");
  const stop = async (): Promise<void> => {
    child.stdin.end();
    await withDeadline(ended, { ms: stopMs, what: "the end of Prometheus" });
    await rm(folder, { recursive: true, force: true });
  };
  const url = `http://${address}`;
  const isReady = async (): Promise<boolean> => {
    if (child.exitCode !== null) throw new FarmError("PROCESS_START_FAILED", { message: `Prometheus ended: ${said.join("; ")}` });
    return fetch(`${url}/-/ready`, { signal: AbortSignal.timeout(requestMs) }).then(
      ({ ok }) => ok,
      () => false,
    );
  };
  try {
    await until("Prometheus is ready", isReady, startMs);
  } catch (thrown) {
    await stop();
    throw thrown;
  }
  return { url, ...asking(url, options.targets.length), stop };
}

function configurationOf({ targets, ruleFiles = [] }: PrometheusOptions): object {
  const jobs = Map.groupBy(targets, ({ job }) => job);
  return {
    global: { scrape_interval: "1s", scrape_timeout: "1s", evaluation_interval: "1s" },
    rule_files: ruleFiles,
    scrape_configs: [...jobs].map(([job, ofJob]) => ({
      job_name: job,
      static_configs: ofJob.map(({ address, labels = {} }) => ({ targets: [address], labels })),
    })),
  };
}

type VectorAnswer = { readonly result: readonly { readonly metric: Readonly<Record<string, string>>; readonly value: [number, string] }[] };
type MatrixAnswer = {
  readonly result: readonly {
    readonly metric: Readonly<Record<string, string>>;
    readonly values: readonly (readonly [number, string])[];
  }[];
};
type AlertsAnswer = {
  readonly alerts: readonly (Pick<FiredAlert, "state" | "annotations"> & {
    readonly labels: Readonly<Record<string, string>>;
    readonly activeAt: string;
  })[];
};

function asking(url: string, targets: number): Omit<TestPrometheus, "url" | "stop"> {
  const query: TestPrometheus["query"] = async (expression) => {
    const { result } = await get<VectorAnswer>(url, "query", { query: expression });
    return result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
  };
  const counts = async (): Promise<ReadonlyMap<string, number>> => {
    const samples = await query("count_over_time(up[1h])");
    return new Map(samples.map(({ labels, value }) => [`${labels["job"] ?? ""} ${labels["instance"] ?? ""}`, value]));
  };
  return {
    query,
    async queryRange(expression, { from, to, stepS }) {
      const range = { start: from.toISOString(), end: to.toISOString(), step: String(stepS) };
      const { result } = await get<MatrixAnswer>(url, "query_range", { query: expression, ...range });
      const samples = result.flatMap(({ metric, values }) => values.map(([, value]) => ({ labels: metric, value: Number(value) })));
      return samples.filter(({ value }) => !Number.isNaN(value));
    },
    labelValues: (label, selector) => get<readonly string[]>(url, `label/${label}/values`, { "match[]": selector }),
    async alerts() {
      const { alerts } = await get<AlertsAnswer>(url, "alerts", {});
      return alerts.map(({ activeAt, ...alert }) => ({ ...alert, name: alert.labels["alertname"] ?? "", since: new Date(activeAt) }));
    },
    async scraped(times) {
      const before = await counts();
      await until(`every target is scraped ${times} times more`, async () => {
        const now = await counts();
        return now.size === targets && [...now].every(([target, count]) => count >= (before.get(target) ?? 0) + times);
      });
    },
  };
}

async function get<T>(url: string, path: string, parameters: Readonly<Record<string, string>>): Promise<T> {
  const address = `${url}/api/v1/${path}?${new URLSearchParams(parameters).toString()}`;
  const response = await fetch(address, { signal: AbortSignal.timeout(requestMs) });
  const answer = (await response.json()) as { readonly status: string; readonly data: T; readonly error?: string };
  if (answer.status !== "success") {
    throw new FarmError("FIELD_INVALID", { message: `${parameters["query"] ?? path}: ${answer.error ?? String(response.status)}` });
  }
  return answer.data;
}
