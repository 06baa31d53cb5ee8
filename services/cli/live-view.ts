/**
 * Text that is shown again and again: redrawn in place on a terminal, appended as snapshots elsewhere.
 *
 * Invariants: a redraw never scrolls, since what does not fit the screen is left out and said; the cursor is shown again however the
 * view ends; Ctrl-C is how one leaves, so it ends with 0.
 */
import { toFarmError } from "../domain/errors.ts";
import { pause } from "../platform/deadline.ts";
import { isOutage } from "../client/patience.ts";
import type { CliContext } from "./context.ts";
import { type ExitCode, exitCodes } from "./exit-codes.ts";
import type { Output } from "./output.ts";
import { cutText, plainText } from "./table.ts";

/** A place on stdout for text that changes. */
export type LiveView = {
  show(text: string): void;
  /** Leaves the last text on the screen; safe to call twice. */
  stop(): void;
};

const hideCursor = "\u001b[?25l";
const showCursor = "\u001b[?25h";
const eraseBelow = "\u001b[J";
const eraseLine = "\u001b[K";

/** A view on stdout. */
export function createLiveView(output: Output): LiveView {
  return output.screen.isTerminal ? redrawn(output) : appended(output);
}

function appended(output: Output): LiveView {
  let isFirst = true;
  return {
    show(text) {
      if (!isFirst) output.line();
      isFirst = false;
      output.line(text);
    },
    stop: () => undefined,
  };
}

function redrawn(output: Output): LiveView {
  let shown = 0;
  let isStopped = false;
  return {
    show(text) {
      if (isStopped) return;
      const lines = fitLines(text, output.screen.rows());
      const up = shown === 0 ? "\r" : `\u001b[${shown}A\r`;
      void output.write(`${hideCursor}${up}${lines.map((line) => `${line}${eraseLine}\n`).join("")}${eraseBelow}`);
      shown = lines.length;
    },
    stop() {
      if (isStopped) return;
      isStopped = true;
      void output.write(showCursor);
    },
  };
}

/** The lines that a screen of so many rows can show, the cursor's own left free. */
export function fitLines(text: string, rows: number | undefined): readonly string[] {
  const lines = text.split("\n");
  if (rows === undefined || lines.length < rows) return lines;
  const kept = lines.slice(0, Math.max(0, rows - 2));
  return [...kept, cutText(`… ${lines.length - kept.length} more lines`, 40)];
}

/** What is shown, and how often. */
export type Repeated = {
  readonly intervalMs: number;
  readonly asJson: boolean;
  /** What is shown next. */
  readonly text: () => Promise<string>;
  /** The same with --json: one document a line. */
  readonly json: () => Promise<unknown>;
};

/** Shows once, or with `isWatched` until interrupted; an outage is told and waited out. */
export async function showView(context: CliContext, isWatched: boolean, { intervalMs, asJson, text, json }: Repeated): Promise<ExitCode> {
  const { output, interrupts } = context;
  if (!isWatched) {
    if (asJson) output.json(await json());
    else output.line(await text());
    return exitCodes.ok;
  }
  const view = createLiveView(output);
  try {
    for (let isFirst = true; !interrupts.signal.aborted; isFirst = false) {
      await showNext(output, view, asJson ? { json } : { text }).catch((thrown: unknown) => {
        if (interrupts.signal.aborted) return;
        const error = toFarmError(thrown);
        if (isFirst || !isOutage(error)) throw error;
        output.note(`${plainText(error.message)}; asking again`);
      });
      await pause(intervalMs, interrupts.signal);
    }
  } finally {
    view.stop();
  }
  return exitCodes.ok;
}

type Next = { readonly text: () => Promise<string> } | { readonly json: () => Promise<unknown> };

async function showNext(output: Output, view: LiveView, next: Next): Promise<void> {
  if ("json" in next) output.json(await next.json());
  else view.show(await next.text());
}
