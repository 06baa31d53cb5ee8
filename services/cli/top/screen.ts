/**
 * A whole terminal for one view: alternate screen, raw keys, and the terminal as it was on every exit.
 *
 * Invariant: whoever opened it, or whatever ended the process in order, `\u001B[?1049l` and the cursor come back. Lines are written in one
 * piece, so a redraw never flickers.
 */
import { styleText } from "node:util";
import { type Key, keysOf } from "./keys.ts";
import type { Size, TopLine, TopStyle } from "./layout.ts";

/** The streams of a terminal. */
export type Terminal = {
  readonly input: NodeJS.ReadStream;
  readonly output: NodeJS.WriteStream;
  /** Told before the process ends, however that comes about. */
  onExit(listener: () => void): () => void;
};

/** A terminal that is taken over. */
export type Screen = {
  size(): Size;
  draw(lines: readonly TopLine[]): void;
  /** The terminal as it was; safe to call twice. */
  close(): void;
};

type Listeners = { readonly onKey: (key: Key) => void; readonly onResize: () => void };

const enter = "\u001B[?1049h\u001B[?25l\u001B[?7l\u001B[2J";
const leave = "\u001B[?7h\u001B[?25h\u001B[?1049l";

/** Takes the terminal over until `close`. */
export function openScreen(terminal: Terminal, { onKey, onResize }: Listeners): Screen {
  const { input, output } = terminal;
  let isOpen = true;
  const takeKeys = (bytes: Buffer): void => {
    for (const key of keysOf(bytes.toString("utf8"))) onKey(key);
  };
  const close = (): void => {
    if (!isOpen) return;
    isOpen = false;
    forget();
    input.off("data", takeKeys);
    output.off("resize", onResize);
    if (input.isTTY) input.setRawMode(false);
    input.pause();
    output.write(leave);
  };
  const forget = terminal.onExit(close);
  if (input.isTTY) input.setRawMode(true);
  input.on("data", takeKeys).resume();
  output.on("resize", onResize);
  output.write(enter);
  return {
    size: () => ({ width: output.columns, height: output.rows }),
    draw(lines) {
      if (!isOpen) return;
      // Each line is cleared to its end; what is below the last one too.
      output.write(`\u001B[H${lines.map((line) => `${paint(line, output)}\u001B[K`).join("\r\n")}\u001B[J`);
    },
    close,
  };
}

const styles: Readonly<Record<TopStyle, Parameters<typeof styleText>[0] | undefined>> = {
  title: ["bold"],
  heading: ["bold", "cyan"],
  columns: ["underline"],
  plain: undefined,
  quiet: ["dim"],
  warning: ["yellow"],
  alarm: ["inverse", "red"],
};

/** NO_COLOR and FORCE_COLOR are heard. */
function paint({ text, style }: TopLine, stream: NodeJS.WriteStream): string {
  const formats = styles[style];
  return formats === undefined || text === "" ? text : styleText(formats, text, { validateStream: true, stream });
}
