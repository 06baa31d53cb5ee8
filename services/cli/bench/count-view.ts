/**
 * "so many of so many, so long left" on stderr: redrawn on a terminal, a line every few seconds elsewhere, nothing for scripts.
 */
import type { Output } from "../output.ts";
import { spanText } from "../ages.ts";

/** A count that grows; each title counts for itself. */
export type CountView = {
  show(title: string, done: number, total: number): void;
  /** Clears the line; safe to call twice. */
  stop(): void;
};

/** What a person is shown of a count. */
export type Counted = { readonly title: string; readonly done: number; readonly total: number; readonly elapsedMs: number };

const redrawMs = 100;
const lineMs = 2_000;

/** A view on stderr. */
export function createCountView(output: Output, asJson: boolean): CountView {
  let title = "";
  let begun = 0;
  let shownAt = 0;
  const put = (text: string): void => void output.errorStream.write(text);
  return {
    show(next, done, total) {
      if (asJson) return;
      const now = performance.now();
      if (next !== title) [title, begun, shownAt] = [next, now, output.isTty ? 0 : now];
      const text = countText({ title, done, total, elapsedMs: now - begun });
      if (output.isTty) {
        if (now - shownAt < redrawMs && done < total) return;
        shownAt = now;
        put(`\r${text}\u001b[K`);
        return;
      }
      if (now - shownAt < lineMs) return;
      shownAt = now;
      output.note(text);
    },
    stop() {
      if (!asJson && output.isTty && title !== "") put("\r\u001b[K");
      title = "";
    },
  };
}

/** "decode clips 12/48, 9s left". */
export function countText({ title, done, total, elapsedMs }: Counted): string {
  const left = done === 0 || done >= total ? "" : `, ${spanText((elapsedMs * (total - done)) / done)} left`;
  return `  ${title} ${done}/${total}${left}`;
}
