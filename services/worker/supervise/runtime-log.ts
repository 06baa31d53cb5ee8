/**
 * What the runtime writes to stderr: passed on to the worker's own log, its markers apart, and kept for the attempts that it has at the moment.
 *
 * The file holds their ids in its first line and then what was written since the first of them began, so that an agent that was killed can
 * tell, once it is started again, what was said last of the attempts that it lost. It is written as it comes: what a kill leaves is all
 * that the runtime wrote. A log that cannot be kept ends no run.
 */
import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { StringDecoder } from "node:string_decoder";
import type { Logger } from "../../platform/logging.ts";
import { runMarkers } from "../run-marker.ts";
import { mostTailCharacters, tailOf } from "./log-tail.ts";

export type LostRun = { readonly attemptId: string; readonly logTail: string };

export type RuntimeLog = {
  /** Takes what the runtime wrote. */
  take(chunk: Buffer): void;
  /** An attempt has the runtime from now on. */
  begin(attemptId: string): void;
  /** An attempt waits in the runtime for another's end: it has the runtime from its marker on. */
  expect(attemptId: string): void;
  /** It has it no more; what was written meanwhile. */
  end(attemptId: string): string;
  /** The attempts that have it and about which something was written since this was last asked, with what was written meanwhile. */
  grown(): readonly LostRun[];
  close(): void;
};

export type RuntimeLogOptions = {
  readonly path: string;
  /** Values that must not be told. */
  readonly secrets: readonly string[];
  /** Where it is passed on to. */
  readonly forward: (chunk: Buffer) => void;
  /** Something was written while an attempt has it. */
  readonly onWritten?: () => void;
  readonly logger: Logger;
};

/** Kept in memory and in the file: tails, with room for what is cut out of them. */
const mostKept = 4 * mostTailCharacters;
const mostFile = 16 * mostTailCharacters;
/** Of a line that is not ended: longer than a marker. */
const mostOfLine = 128;

/** What the log of an earlier life tells of the attempts that it had when it ended; call it before the log is opened anew. */
export async function readLostRuns(path: string, secrets: readonly string[]): Promise<readonly LostRun[]> {
  const text = await readFile(path, "utf8").catch(() => "");
  const [header = "", ...lines] = text.split("\n");
  const attemptIds = header.split(" ").filter((id) => /^[0-9a-f-]{32,36}$/.test(id));
  return attemptIds.map((attemptId) => ({ attemptId, logTail: tailOf(withoutMarkers(lines.join("\n")), secrets) }));
}

const withoutMarkers = (text: string): string => text.replaceAll(runMarkers, "");

/** Empties the file. */
export function openRuntimeLog(options: RuntimeLogOptions): RuntimeLog {
  return new KeptLog(options);
}

class KeptLog implements RuntimeLog {
  private readonly options: RuntimeLogOptions;
  private readonly file: number;
  /** Attempt → where in all that was written it began. */
  private readonly begun = new Map<string, number>();
  private readonly expected = new Set<string>();
  /** Attempt → how much was written when its tail was last asked for. */
  private readonly asked = new Map<string, number>();
  private readonly decoder = new StringDecoder("utf8");
  /** The end of what was written, from the start of its last line. */
  private line = "";
  private kept = "";
  private written = 0;
  private fileSize = 0;
  private isBroken = false;

  constructor(options: RuntimeLogOptions) {
    this.options = options;
    this.file = openSync(options.path, "w", 0o600);
  }

  take(chunk: Buffer): void {
    const text = this.decoder.write(chunk);
    this.options.forward(text.match(runMarkers) === null ? chunk : Buffer.from(withoutMarkers(text)));
    this.written += text.length;
    this.kept = (this.kept + text).slice(-mostKept);
    const hasBegun = this.findMarkers(this.line + text);
    if (this.begun.size === 0) return;
    this.options.onWritten?.();
    if (hasBegun || this.fileSize + chunk.length > mostFile) this.rewrite();
    else this.append(chunk);
  }

  begin(attemptId: string): void {
    this.begun.set(attemptId, this.written);
    this.rewrite();
  }

  expect(attemptId: string): void {
    this.expected.add(attemptId);
  }

  end(attemptId: string): string {
    this.expected.delete(attemptId);
    const since = this.begun.get(attemptId) ?? this.written;
    this.begun.delete(attemptId);
    this.asked.delete(attemptId);
    this.rewrite();
    return this.tailSince(since);
  }

  grown(): readonly LostRun[] {
    return [...this.begun].flatMap(([attemptId, since]) => {
      if (this.written <= (this.asked.get(attemptId) ?? since)) return [];
      this.asked.set(attemptId, this.written);
      const logTail = this.tailSince(since);
      return logTail === "" ? [] : [{ attemptId, logTail }];
    });
  }

  close(): void {
    this.isBroken = true;
    closeSync(this.file);
  }

  /** Whether an expected attempt begins in the text, which ends where all that was written does. */
  private findMarkers(text: string): boolean {
    const startsAt = this.written - text.length;
    const begins = [...text.matchAll(runMarkers)].filter(([, attemptId = ""]) => this.expected.delete(attemptId));
    for (const { 0: marker, 1: attemptId = "", index } of begins) this.begun.set(attemptId, startsAt + index + marker.length);
    this.line = text.slice(text.lastIndexOf("\n") + 1).slice(0, mostOfLine);
    return begins.length > 0;
  }

  private tailSince(position: number): string {
    return tailOf(withoutMarkers(this.since(position)), this.options.secrets);
  }

  private since(position: number): string {
    const length = Math.min(this.kept.length, this.written - position);
    return length === 0 ? "" : this.kept.slice(-length);
  }

  private rewrite(): void {
    const first = Math.min(this.written, ...this.begun.values());
    const text = this.begun.size === 0 ? "" : `${[...this.begun.keys()].join(" ")}\n${this.since(first)}`;
    this.guarded(() => {
      ftruncateSync(this.file, 0);
      this.fileSize = writeSync(this.file, text, 0);
    });
  }

  private append(chunk: Buffer): void {
    this.guarded(() => {
      this.fileSize += writeSync(this.file, chunk, 0, chunk.length, this.fileSize);
    });
  }

  private guarded(write: () => void): void {
    if (this.isBroken) return;
    try {
      write();
    } catch (thrown) {
      this.isBroken = true;
      this.options.logger.warn({ err: thrown, path: this.options.path }, "the runtime's log cannot be kept for attempts that are lost");
    }
  }
}
