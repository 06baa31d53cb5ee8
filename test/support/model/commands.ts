/**
 * Plays as fast-check commands: generated, run one after another, and shrunk to the fewest that still go wrong.
 */
import { AssertionError } from "node:assert";
import fc from "fast-check";
import { farmOperations } from "./farm-operations.ts";
import { pictureOfModel, pictureOfStore } from "./model-picture.ts";
import { checkSoundness } from "./model-soundness.ts";
import { createPlay, type Play, type RealFarm, same } from "./play.ts";
import { preemptionOperations } from "./preemption-operations.ts";
import { type Operation, type Picks, workerOperations } from "./worker-operations.ts";

const operations = { ...workerOperations, ...farmOperations, ...preemptionOperations } satisfies Record<string, Operation>;
type Kind = keyof typeof operations;

/** How often each comes, against the others. */
const weights: Readonly<Record<Kind, number>> = {
  next: 16,
  askAhead: 5,
  ripen: 2,
  work: 12,
  refuse: 2,
  together: 4,
  report: 20,
  beat: 8,
  again: 3,
  late: 3,
  startAnew: 4,
  leave: 1,
  lapse: 2,
  overlook: 2,
  otherCoordinator: 1,
  submit: 8,
  cancel: 4,
  retry: 4,
  update: 1,
  reap: 4,
  vanish: 2,
  reapLate: 1,
  promote: 3,
  collect: 1,
  revisit: 2,
  sweep: 1,
  hold: 1,
  contend: 3,
  release: 2,
  cordon: 1,
  uncordon: 2,
  preempt: 2,
  press: 3,
  obey: 4,
  unsettle: 2,
};

class Step implements fc.AsyncCommand<Play, undefined> {
  readonly kind: Kind;
  readonly picks: Picks;
  constructor(kind: Kind, picks: Picks) {
    this.kind = kind;
    this.picks = picks;
  }
  check(): boolean {
    return true;
  }
  async run(play: Play): Promise<void> {
    try {
      await operations[this.kind](play, this.picks);
      checkSoundness(play.model);
      await comparePictures(play);
    } catch (thrown) {
      const why = thrown instanceof Error ? thrown.message : String(thrown);
      throw new AssertionError({ message: `${why}\n  ${play.log.join("\n  ")}` });
    }
  }
  toString(): string {
    return `${this.kind}(${this.picks.join(", ")})`;
  }
}

/** The whole observable state, after each operation. */
async function comparePictures({ model, real }: Play): Promise<void> {
  if (real === undefined) return;
  const store = await pictureOfStore(real.world, model);
  const expected = pictureOfModel(model);
  for (const part of ["jobs", "tasks", "attempts", "sessions", "preemptions"] as const) {
    for (const name of new Set([...Object.keys(store[part]), ...Object.keys(expected[part])])) {
      same(`${part} ${name}`, store[part][name] ?? null, expected[part][name] ?? null);
    }
  }
}

/** Plays that bring about, each time, what chance does only now and then. */
export const scripts = {
  "a promised task is begun": [
    new Step("submit", [0, 1, 2]),
    new Step("next", [2, 2, 1]),
    new Step("askAhead", [2, 2, 1]),
    new Step("beat", [2, 0, 0]),
    new Step("report", [2, 0, 0]),
  ],
  "a promised task is taken away; its first worker begins and reports it all the same": [
    new Step("submit", [0, 1, 2]),
    new Step("next", [2, 2, 1]),
    new Step("askAhead", [2, 2, 1]),
    new Step("next", [0, 2, 1]),
    new Step("beat", [2, 0, 0]),
    new Step("report", [2, 0, 0]),
    new Step("report", [2, 0, 0]),
  ],
  "a run makes way, and goes on from its checkpoint": [
    new Step("press", [0, 2, 1]),
    new Step("obey", [0, 1, 1]),
    new Step("obey", [1, 1, 1]),
    new Step("obey", [2, 1, 1]),
    new Step("work", [0, 4, 1]),
    new Step("work", [1, 4, 1]),
    new Step("work", [2, 4, 1]),
    new Step("preempt", [0, 0, 0]),
  ],
} as const;

const picks: fc.Arbitrary<Picks> = fc.tuple(fc.nat(999), fc.nat(999), fc.nat(999));
const kinds = Object.keys(weights) as readonly Kind[];

/** Sequences of at most so many operations. */
export function commands(maxCommands: number): fc.Arbitrary<Iterable<fc.AsyncCommand<Play, undefined>>> {
  const steps = kinds.flatMap((kind) => Array.from({ length: weights[kind] }, () => picks.map((each) => new Step(kind, each))));
  return fc.commands(steps, { maxCommands, size: "max" });
}

/** Runs a sequence from an empty farm. */
export async function runPlay(sequence: Iterable<fc.AsyncCommand<Play, undefined>>, real: RealFarm | undefined): Promise<Play> {
  const play = createPlay(real);
  await fc.asyncModelRun(() => ({ model: play, real: undefined }), sequence);
  return play;
}
