/**
 * A program of a fault test's farm: killed, frozen, let go on, stopped in order, started again under its old addresses.
 */
import { readFile } from "node:fs/promises";
import type { Life } from "../../../services/cli/up/keeper.ts";

type Environment = Readonly<Record<string, string>>;
type Facts = Readonly<Record<string, string>>;

export type Program = {
  readonly name: string;
  /** Of the newest life. */
  readonly processId: number;
  readonly facts: Facts;
  /** How the newest life ended. */
  readonly ended: Promise<string>;
  isRunning(): boolean;
  /** SIGKILL; resolves when it has ended. */
  kill(): Promise<void>;
  /** SIGSTOP. */
  freeze(): Promise<void>;
  /** SIGCONT. */
  thaw(): Promise<void>;
  /** SIGTERM, and the time that an orderly stop takes. Safe to call twice. */
  stop(): Promise<void>;
  /** A new life, with these settings on top of its own. */
  start(environment?: Environment): Promise<void>;
};

export type ProgramOptions = {
  readonly name: string;
  /** Also signal the processes that it made: Postgres is many. */
  readonly wholeTree?: boolean;
  begin(previous: Facts | undefined, environment: Environment): Promise<Life>;
};

/** Begins its first life. */
export async function startProgram(options: ProgramOptions, environment: Environment = {}): Promise<Program> {
  const program = new RunningProgram(options, await options.begin(undefined, environment));
  return program;
}

class RunningProgram implements Program {
  private readonly options: ProgramOptions;
  private life: Life;
  private alive = true;

  constructor(options: ProgramOptions, life: Life) {
    this.options = options;
    this.life = life;
    this.follow(life);
  }

  get name(): string {
    return this.options.name;
  }

  get processId(): number {
    return this.life.processId;
  }

  get facts(): Facts {
    return this.life.facts;
  }

  get ended(): Promise<string> {
    return this.life.ended;
  }

  isRunning(): boolean {
    return this.alive;
  }

  async kill(): Promise<void> {
    await this.signal("SIGKILL");
    await this.life.ended;
  }

  freeze(): Promise<void> {
    return this.signal("SIGSTOP");
  }

  thaw(): Promise<void> {
    return this.signal("SIGCONT");
  }

  async stop(): Promise<void> {
    if (!this.alive) return;
    await this.thaw();
    await this.life.stop();
  }

  async start(environment: Environment = {}): Promise<void> {
    this.life = await this.options.begin(this.life.facts, environment);
    this.follow(this.life);
  }

  private follow(life: Life): void {
    this.alive = true;
    void life.ended.then(() => {
      if (life === this.life) this.alive = false;
    });
  }

  private async signal(name: NodeJS.Signals): Promise<void> {
    const { processId } = this.life;
    const processes = this.options.wholeTree === true ? [processId, ...(await childrenOf(processId))] : [processId];
    for (const one of processes) send(one, name);
  }
}

async function childrenOf(processId: number): Promise<readonly number[]> {
  const text = await readFile(`/proc/${processId}/task/${processId}/children`, "utf8").catch(() => "");
  return text.split(" ").filter(Boolean).map(Number);
}

/** One that has ended meanwhile needs no signal. */
function send(processId: number, name: NodeJS.Signals): void {
  try {
    process.kill(processId, name);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "ESRCH") throw thrown;
  }
}
