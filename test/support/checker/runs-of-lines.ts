/**
 * Lives and runs out of the lines of one runtime's journal.
 */
import type { Run, RuntimeLife, RuntimeLine } from "./journal-entries.ts";

type Growing = { -readonly [Key in keyof Run]: Run[Key] extends readonly (infer E)[] ? E[] : Run[Key] };

/** A runtime has one slot: an id that begins again is another run. */
export function runsOf(
  file: string,
  lines: readonly RuntimeLine[],
): { readonly lives: readonly RuntimeLife[]; readonly runs: readonly Run[] } {
  const runs: Growing[] = [];
  const opened = lines.find((line) => line.kind === "opened");
  const processId = opened?.processId ?? 0;
  for (const line of lines) {
    if (line.kind === "opened") continue;
    if (line.kind === "began") runs.push(begun(processId, line));
    else
      apply(
        runs.findLast(({ runId }) => runId === line.runId),
        line,
      );
  }
  return { lives: opened === undefined ? [] : [{ file, processId, openedAtMs: opened.atMs }], runs };
}

function begun(processId: number, { runId, stage, fromCheckpoint, atMs }: Extract<RuntimeLine, { kind: "began" }>): Growing {
  const open = { endedAtMs: undefined, outcome: undefined, deviceMs: undefined, firstStep: undefined, lastStep: undefined };
  return { processId, runId, stage, fromCheckpoint, beganAtMs: atMs, lastSignAtMs: atMs, ...open, outputs: [], checkpoints: [] };
}

function apply(run: Growing | undefined, line: Exclude<RuntimeLine, { kind: "opened" | "began" }>): void {
  if (run === undefined) return;
  run.lastSignAtMs = line.atMs;
  switch (line.kind) {
    case "stepped":
      run.firstStep ??= line.step;
      run.lastStep = line.step;
      return;
    case "checkpointed":
      run.checkpoints.push({ atMs: line.atMs, step: line.step });
      return;
    case "ended":
      run.endedAtMs = line.atMs;
      run.outcome = line.outcome;
      run.deviceMs = line.deviceMs;
      run.outputs = [...(line.outputs ?? [])];
  }
}
