/**
 * A farm of real processes to do violence to: several coordinators and workers with their runtimes, NATS, and a Postgres that keeps what it
 * committed (fsync on), each started and ended by itself. Every coordinator and worker has links of its own through proxies.
 *
 * Nothing starts again by itself: a scenario says what comes back, and when. Leases are shortened, so that a lapse takes seconds.
 */
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { layoutOf, makeDataFolders, type DataLayout } from "../../../services/cli/data-folder.ts";
import { beginNats, beginPostgres } from "../../../services/cli/up/embedded.ts";
import { startService } from "../../../services/cli/up/service-child.ts";
import { coordinatorEnvironment, type Foundation, workerEnvironment } from "../../../services/cli/up/service-environment.ts";
import { settingsOf, type UpSettings } from "../../../services/cli/up/settings.ts";
import type { FarmClient } from "../../../services/client/farm-client.ts";
import { migrate } from "../../../services/platform/database/migrate.ts";
import { openPool, type Pool, sqlState } from "../../../services/platform/database/pool.ts";
import { pause } from "../../../services/platform/deadline.ts";
import { cpuProfile, installedOnnxruntimeVersion } from "../../../services/platform/profile.ts";
import { findFfmpeg } from "../../../services/platform/programs/ffmpeg.ts";
import { type Journals, openJournals } from "../checker/journals.ts";
import { cleanEnvironment } from "../farm.ts";
import { projectRoot } from "../ffmpeg.ts";
import { migrationsFolder } from "../postgres.ts";
import { type NatsProxy, startNatsProxy } from "./nats-proxy.ts";
import { type Program, startProgram } from "./program.ts";
import { startTcpProxy, type TcpProxy } from "./tcp-proxy.ts";

export type Coordinator = { readonly program: Program; readonly nats: NatsProxy; readonly postgres: TcpProxy; readonly client: FarmClient };
export type Worker = { readonly program: Program; readonly nats: NatsProxy; readonly runtimeId: () => Promise<number> };

export type FaultFarm = {
  readonly layout: DataLayout;
  readonly databaseUrl: string;
  readonly natsUrl: string;
  readonly artifactsFolder: string;
  readonly postgres: Program;
  readonly nats: Program;
  readonly coordinators: readonly Coordinator[];
  readonly workers: readonly Worker[];
  readonly leaseMs: number;
  /** What clients were told and runtimes did; every client of the farm is journaled. */
  readonly journals: Journals;
  /** On a connection of the test's own, past every proxy; goes on when Postgres comes back. */
  sql<Row extends Record<string, unknown>>(query: string, values?: readonly unknown[]): Promise<readonly Row[]>;
  log(name: string): Promise<string>;
  /** Everything heals and runs: links pass, what is frozen goes on, what has ended starts again. */
  restore(): Promise<void>;
  stop(): Promise<void>;
};

export type FaultFarmOptions = {
  readonly coordinators?: number;
  readonly workers?: number;
  /** 5 s, so that a lapse fits a test of a minute; the farm's own is 15 s. */
  readonly leaseMs?: number;
  readonly environment?: Readonly<Record<string, string>>;
  /** The artifact folder, where it is not in the farm's own. */
  readonly artifactsFolder?: string;
};

const serviceStopMs = 20_000;
const startingAgainMs = 20_000;

type Base = {
  readonly foundation: Foundation;
  readonly postgres: Program;
  readonly nats: Program;
  readonly journals: Journals;
};

/** Starts all of it; `stop` ends what was started. */
export async function startFaultFarm(options: FaultFarmOptions = {}): Promise<FaultFarm> {
  const { coordinators = 2, workers = 2, leaseMs = 5_000 } = options;
  const folder = await mkdtemp(join(tmpdir(), "vapfarm-fault-"));
  await chmod(folder, 0o711);
  const layout = layoutOf(folder);
  await makeDataFolders(layout);
  const base = await layBase(layout, options, leaseMs);
  const farm = new RunningFarm(base, leaseMs);
  try {
    const started = Array.from({ length: coordinators }, (_, index) => startCoordinator(base, `coordinator-${index + 1}`));
    farm.coordinators.push(...(await Promise.all(started)));
    const joined = Array.from({ length: workers }, (_, index) => startWorker(base, `worker-${index + 1}`));
    farm.workers.push(...(await Promise.all(joined)));
    return farm;
  } catch (thrown) {
    await farm.stop();
    throw thrown;
  }
}

async function layBase(layout: DataLayout, options: FaultFarmOptions, leaseMs: number): Promise<Base> {
  const journals = await openJournals();
  const environment = {
    ...cleanEnvironment(journals.environment),
    VAPFARM_LEASE_MS: String(leaseMs),
    ...options.environment,
  };
  const settings: UpSettings = {
    ...settingsOf({ ephemeral: true }, environment, { projectFolder: projectRoot, workingFolder: projectRoot }),
    // What a killed Postgres had committed is there when it is back.
    isEphemeral: false,
  };
  const embedded = { settings, layout, searchPath: process.env["PATH"] };
  const postgres = await startProgram({ name: "postgres", wholeTree: true, begin: (previous) => beginPostgres(embedded, previous) });
  const nats = await startProgram({ name: "nats", begin: (previous) => beginNats(embedded, previous) });
  const databaseUrl = postgres.facts["url"] ?? "";
  await migrate({ url: databaseUrl, folder: migrationsFolder });
  const { ffmpegPath: configured, cacheFolder } = settings;
  const ffmpeg = await findFfmpeg({ configured, cacheFolder, searchPath: process.env["PATH"] });
  const foundation: Foundation = {
    settings,
    layout,
    databaseUrl,
    natsUrl: nats.facts["url"] ?? "",
    artifacts: `folder:${options.artifactsFolder ?? layout.artifacts}`,
    ffmpegPath: ffmpeg.path,
    profile: cpuProfile({ threads: settings.threads, onnxruntimeVersion: installedOnnxruntimeVersion() }),
    callerEnvironment: environment,
  };
  return { foundation, postgres, nats, journals };
}

async function startCoordinator({ foundation, postgres, nats, journals }: Base, name: string): Promise<Coordinator> {
  const [natsProxy, postgresProxy] = await Promise.all([
    startNatsProxy(Number(nats.facts["port"])),
    startTcpProxy({ port: Number(postgres.facts["port"]) }),
  ]);
  const own = {
    ...foundation,
    natsUrl: through(natsProxy, foundation.natsUrl),
    databaseUrl: through(postgresProxy, foundation.databaseUrl),
  };
  const program = await startProgram({
    name,
    begin: (previous, environment) =>
      startService({
        name,
        program: join(projectRoot, "services/coordinator/main.ts"),
        environment: { ...coordinatorEnvironment(own, previous), ...environment },
        logPath: join(foundation.layout.logs, `${name}.log`),
        stopMs: serviceStopMs,
      }),
  });
  const client = journals.connect(program.facts["grpcAddress"] ?? "", { name });
  return { program, nats: natsProxy, postgres: postgresProxy, client };
}

async function startWorker({ foundation, nats }: Base, name: string): Promise<Worker> {
  const natsProxy = await startNatsProxy(Number(nats.facts["port"]));
  const own = { ...foundation, natsUrl: through(natsProxy, foundation.natsUrl) };
  const [pool] = foundation.settings.pools;
  if (pool === undefined) throw new TypeError("a farm has a pool");
  const program = await startProgram({
    name,
    begin: (previous, environment) =>
      startService({
        name,
        program: join(projectRoot, "services/worker/main.ts"),
        environment: { ...workerEnvironment(own, { name, pool }, previous), ...environment },
        logPath: join(foundation.layout.logs, `${name}.log`),
        stopMs: serviceStopMs,
      }),
  });
  const pidFile = join(foundation.layout.worker(name), "runtime.pid");
  return { program, nats: natsProxy, runtimeId: async () => Number.parseInt(await readFile(pidFile, "utf8"), 10) };
}

function through({ port }: TcpProxy, url: string): string {
  const proxied = new URL(url);
  proxied.port = String(port);
  return proxied.href;
}

class RunningFarm implements FaultFarm {
  readonly coordinators: Coordinator[] = [];
  readonly workers: Worker[] = [];
  readonly leaseMs: number;
  private readonly base: Base;
  private readonly pool: Pool;

  constructor(base: Base, leaseMs: number) {
    this.base = base;
    this.leaseMs = leaseMs;
    this.pool = openPool({ url: base.foundation.databaseUrl, applicationName: "vapfarm-fault-test", connections: 2 });
  }

  get layout(): DataLayout {
    return this.base.foundation.layout;
  }

  get databaseUrl(): string {
    return this.base.foundation.databaseUrl;
  }

  get artifactsFolder(): string {
    return this.base.foundation.artifacts.slice("folder:".length);
  }

  get natsUrl(): string {
    return this.base.foundation.natsUrl;
  }

  get journals(): Journals {
    return this.base.journals;
  }

  get postgres(): Program {
    return this.base.postgres;
  }

  get nats(): Program {
    return this.base.nats;
  }

  async sql<Row extends Record<string, unknown>>(query: string, values: readonly unknown[] = []): Promise<readonly Row[]> {
    return throughOutage(async () => (await this.pool.query<Row>(query, [...values])).rows);
  }

  log(name: string): Promise<string> {
    return readFile(join(this.layout.logs, `${name}.log`), "utf8");
  }

  async restore(): Promise<void> {
    for (const proxy of this.proxies()) proxy.pass();
    for (const { nats } of [...this.coordinators, ...this.workers]) nats.fateOf = () => "deliver";
    for (const program of this.programs()) {
      if (program.isRunning()) await program.thaw();
      else await program.start();
    }
    for (const { runtimeId } of this.workers) process.kill(await runtimeId(), "SIGCONT");
  }

  async stop(): Promise<void> {
    for (const proxy of this.proxies()) proxy.pass();
    await Promise.all(this.workers.map(({ program }) => program.stop()));
    for (const { client } of this.coordinators) client.close();
    await Promise.all(this.coordinators.map(({ program }) => program.stop()));
    await this.pool.end();
    await Promise.all([this.nats.stop(), this.postgres.stop()]);
    await Promise.all(this.proxies().map((proxy) => proxy.stop()));
    await this.journals.remove();
    await rm(this.layout.folder, { recursive: true, force: true });
  }

  private programs(): readonly Program[] {
    return [this.postgres, this.nats, ...[...this.coordinators, ...this.workers].map(({ program }) => program)];
  }

  private proxies(): readonly TcpProxy[] {
    return [...this.coordinators.flatMap(({ nats, postgres }) => [nats, postgres]), ...this.workers.map(({ nats }) => nats)];
  }
}

/** Asks again while Postgres does not answer: what went wrong with the question itself is thrown at once. */
async function throughOutage<T>(ask: () => Promise<T>): Promise<T> {
  const end = performance.now() + startingAgainMs;
  for (;;) {
    try {
      return await ask();
    } catch (thrown) {
      if (!isAway(thrown) || performance.now() > end) throw thrown;
      await pause(50);
    }
  }
}

function isAway(thrown: unknown): boolean {
  const state = sqlState(thrown);
  return state === "" ? !(thrown instanceof TypeError) : /^(08|57)/.test(state);
}
