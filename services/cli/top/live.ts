/**
 * The live view's loop: look, draw, wait; keys and resizes draw at once.
 *
 * A farm that goes away keeps the last picture under a banner and is asked again until it answers. The view ends with `q`, Ctrl-C or
 * the signal, and then the terminal is as it was.
 */
import { toFarmError } from "../../domain/errors.ts";
import { pause } from "../../platform/deadline.ts";
import { type Key, scrolled } from "./keys.ts";
import { type FarmPicture, layoutTop, type TopScreen } from "./layout.ts";
import { openScreen, type Screen, type Terminal } from "./screen.ts";

/** What the view shows, where, and how often. */
export type LiveOptions = {
  readonly terminal: Terminal;
  readonly read: (signal: AbortSignal) => Promise<FarmPicture>;
  readonly intervalMs: number;
  readonly address: string;
  readonly signal: AbortSignal;
};

/** Shows the farm until the person leaves. */
export async function showLive(options: LiveOptions): Promise<void> {
  const view = new LiveView(options);
  try {
    await view.run();
  } finally {
    view.close();
  }
}

class LiveView {
  readonly #options: LiveOptions;
  readonly #screen: Screen;
  readonly #left = new AbortController();
  readonly #signal: AbortSignal;
  #picture: FarmPicture | undefined;
  #takenAt = performance.now();
  #failure: string | undefined;
  #isPaused = false;
  #scroll = 0;
  #shown: TopScreen = { lines: [], page: 0, scrollMost: 0 };

  constructor(options: LiveOptions) {
    this.#options = options;
    this.#signal = AbortSignal.any([options.signal, this.#left.signal]);
    this.#screen = openScreen(options.terminal, { onKey: (key) => this.#press(key), onResize: () => this.#draw() });
  }

  async run(): Promise<void> {
    this.#draw();
    while (!this.#signal.aborted) {
      if (!this.#isPaused) await this.#look();
      if (this.#isDone()) return;
      this.#draw();
      await pause(this.#options.intervalMs, this.#signal);
    }
  }

  close(): void {
    this.#screen.close();
  }

  /** Read anew after an await, which is when it may have changed. */
  #isDone(): boolean {
    return this.#signal.aborted;
  }

  async #look(): Promise<void> {
    try {
      const picture = await this.#options.read(this.#signal);
      // What arrives after a pause was asked for stays out of the picture that is being read.
      if (this.#isPaused && this.#picture !== undefined) return;
      this.#picture = picture;
      this.#takenAt = performance.now();
      this.#failure = undefined;
    } catch (thrown) {
      this.#failure = toFarmError(thrown).code;
    }
  }

  #press(key: Key): void {
    if (key === "quit") this.#left.abort();
    else if (key === "pause") this.#isPaused = !this.#isPaused;
    else this.#scroll = scrolled(key, { ...this.#shown, scroll: this.#scroll });
    this.#draw();
  }

  #draw(): void {
    const state = {
      address: this.#options.address,
      picture: this.#picture,
      failure: this.#failure,
      ageMs: performance.now() - this.#takenAt,
      isPaused: this.#isPaused,
      scroll: this.#scroll,
    };
    this.#shown = layoutTop(state, this.#screen.size());
    this.#scroll = Math.min(this.#scroll, this.#shown.scrollMost);
    this.#screen.draw(this.#shown.lines);
  }
}
