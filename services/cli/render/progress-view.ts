/**
 * Progress for people: a bar per stage on a terminal, a line per change elsewhere, nothing for scripts.
 */
import cliProgress from "cli-progress";
import type { Output } from "../output.ts";
import { plainText } from "../table.ts";
import type { StageRow } from "./progress-board.ts";

/** Where progress is shown. */
export type ProgressView = {
  show(rows: readonly StageRow[]): void;
  /** A line that stays, above the bars. */
  note(text: string): void;
  /** Leaves the last state on the screen; safe to call twice. */
  stop(): void;
};

/** The view that fits: none with --json, bars on a terminal, lines elsewhere. */
export function createProgressView(output: Output, asJson: boolean): ProgressView {
  if (asJson) return { show: () => undefined, note: () => undefined, stop: () => undefined };
  return output.isTty ? barView(output) : lineView(output);
}

function barView(output: Output): ProgressView {
  const bars = new Map<string, cliProgress.SingleBar>();
  let isStopped = false;
  const multi = new cliProgress.MultiBar(
    {
      format: "  {stage} {bar} {percentage}%  {detail}",
      barsize: 28,
      hideCursor: true,
      stream: output.errorStream,
      autopadding: true,
      forceRedraw: true,
      gracefulExit: false,
    },
    cliProgress.Presets.shades_classic,
  );
  return {
    show(rows) {
      // Drawing again would move up and write over what came after the bars.
      if (isStopped) return;
      for (const row of rows) {
        const payload = { stage: row.stage.padEnd(11), detail: plainText(row.detail) };
        const value = Math.round(row.fraction * 1000);
        const bar = bars.get(row.stage);
        if (bar === undefined) bars.set(row.stage, multi.create(1000, value, payload));
        else bar.update(value, payload);
      }
    },
    note: (text) => {
      if (isStopped) output.note(text);
      else multi.log(`${text}\n`);
    },
    stop: () => {
      if (isStopped) return;
      isStopped = true;
      multi.update();
      multi.stop();
    },
  };
}

function lineView(output: Output): ProgressView {
  const shown = new Map<string, string>();
  return {
    show(rows) {
      for (const row of rows) {
        const mark = markOf(row);
        if (mark === undefined || shown.get(row.stage) === mark) continue;
        shown.set(row.stage, mark);
        output.note(`  ${row.stage.padEnd(11)} ${String(Math.floor(row.fraction * 100)).padStart(3)}%  ${plainText(row.detail)}`);
      }
    },
    note: (text) => output.note(text),
    stop: () => undefined,
  };
}

/** What makes a new line worth writing: tasks done, and each tenth of a running stage. */
function markOf(row: StageRow): string | undefined {
  if (row.fraction === 0 && !row.isRunning) return undefined;
  return `${row.done} ${Math.floor(row.fraction * 10)}`;
}
