/**
 * A folder of journals, one file per writer, and what they say together.
 *
 * Invariant: a torn last line of a file is left out, for its writer was killed while writing it; any other line that is no JSON is an
 * error of the journal, not of the farm, and throws.
 */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FarmClient } from "../../../services/client/farm-client.ts";
import { type Journal, openJournal } from "../../../services/platform/journal.ts";
import type {
  ClientCall,
  ClientLine,
  Run,
  RuntimeLife,
  RuntimeLine,
  TesterEntry,
  TesterLine,
  Unstamped,
  WorkerEntry,
  WorkerLine,
} from "./journal-entries.ts";
import { callsOf } from "./calls-of-lines.ts";
import { journaledFarm } from "./journaled-farm.ts";
import { runsOf } from "./runs-of-lines.ts";

export type Journals = {
  readonly folder: string;
  /** What the programs under test need in their environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** A client whose every call is written down; close it as any other. */
  connect(address: string, options?: { readonly token?: string; readonly name?: string }): FarmClient;
  /** Where the test writes what it did, and what reached it. */
  readonly tester: Journal<Unstamped<TesterLine>>;
  read(): Promise<JournalsRead>;
  remove(): Promise<void>;
};

export type JournalsRead = {
  readonly calls: readonly ClientCall[];
  readonly runtimes: readonly RuntimeLife[];
  readonly runs: readonly Run[];
  readonly workers: readonly WorkerEntry[];
  readonly tester: readonly TesterEntry[];
};

const logger = { warn: () => undefined };

/** Makes a folder of its own for the journals of one farm. */
export async function openJournals(): Promise<Journals> {
  const folder = await mkdtemp(join(tmpdir(), "vapfarm-journals-"));
  let clients = 0;
  return {
    folder,
    environment: { VAPFARM_RUN_JOURNAL: folder },
    connect(address, { token, name = "client" } = {}) {
      clients += 1;
      return journaledFarm({ address, token, origin: "the test's farm" }, openJournal<object>(folder, `client-${name}-${clients}`, logger));
    },
    tester: openJournal(folder, "tester", logger),
    read: () => readJournals(folder),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Reads every journal of a folder. */
export async function readJournals(folder: string): Promise<JournalsRead> {
  const files = (await readdir(folder)).filter((name) => name.endsWith(".jsonl")).sort();
  const read = await Promise.all(files.map(async (name) => ({ name, lines: linesOf(name, await readFile(join(folder, name), "utf8")) })));
  const of = (kind: string) => read.filter(({ name }) => name.startsWith(`${kind}-`));
  const runtimes = of("runtime").map(({ name, lines }) => runsOf(name, lines as readonly RuntimeLine[]));
  return {
    calls: of("client").flatMap(({ name, lines }) => callsOf(name, lines as readonly ClientLine[])),
    runtimes: runtimes.flatMap(({ lives }) => lives),
    runs: runtimes.flatMap(({ runs }) => runs),
    workers: of("worker").flatMap(({ name, lines }) => (lines as readonly WorkerLine[]).map((line) => ({ ...line, worker: name }))),
    tester: of("tester").flatMap(({ lines }) => lines as readonly TesterEntry[]),
  };
}

function linesOf(name: string, text: string): readonly unknown[] {
  const lines = text.split("\n");
  // What follows the last line break is empty, or torn.
  return lines.slice(0, -1).map((line, index) => {
    try {
      return JSON.parse(line) as unknown;
    } catch (cause) {
      throw new TypeError(`line ${index + 1} of the journal ${name} is no JSON`, { cause });
    }
  });
}
