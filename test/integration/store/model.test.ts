import fc from "fast-check";
import { expect, test } from "vitest";
import { commands, runPlay, scripts } from "../../support/model/commands.ts";
import { isListed, logMoves, loggedMoves, movers, wordsOf } from "../../support/model/movers.ts";
import { plant, type PlantedBug, plantedBugs } from "../../support/model/planted-bugs.ts";
import type { RealFarm } from "../../support/model/play.ts";
import { emptyFarm, modelOptions, openRealFarm } from "../../support/model/real-farm.ts";
import { useWorld } from "../../support/store-suite.ts";

const world = useWorld(modelOptions);

/** More of them make a campaign, which looks for every planted bug too: see the README of the store. */
const campaign = process.env["VAPFARM_MODEL_RUNS"];
const runs = Number(campaign ?? 15);
/** So many of the planted bugs are looked for by default; all of them take minutes. */
const fewBugs = 2;
const longestMs = 24 * 3_600_000;

const playOn = (real: RealFarm) =>
  fc.asyncProperty(commands(100), async (sequence) => {
    await emptyFarm(real);
    await runPlay(sequence, real);
  });

/** Moves that the scripts make; which others chance brings about differs from run to run. */
const seen = [
  "task: running → succeeded by vf_succeed < vf_apply_report",
  "attempt: reserved → running by vf_charge < vf_renew_attempts",
  "attempt: reserved → abandoned by vf_free_attempt < vf_take_reservation",
  "task: running → ready by vf_requeue < vf_free_attempt < vf_take_reservation",
  "attempt: running → abandoned, makes way, by vf_apply_report",
  "task: running → ready by vf_requeue < vf_apply_report",
];

test(
  "after whatever is done in whatever order, the store is what the model says, and each move has its event",
  { timeout: longestMs },
  async () => {
    const real = await openRealFarm(world());
    await logMoves(world());
    for (const script of Object.values(scripts)) {
      await emptyFarm(real);
      await runPlay(script, real);
    }
    await fc.assert(playOn(real), { numRuns: runs });
    const moves = await loggedMoves(world());
    expect(moves.filter((move) => !isListed(move))).toEqual([]);
    const words = moves.map(wordsOf);
    expect(seen.filter((move) => !words.some((each) => each.startsWith(move)))).toEqual([]);
  },
);

/** Whether plays go wrong; they are the same each time. */
async function isFound(real: RealFarm, bug: PlantedBug): Promise<boolean> {
  const restore = await plant(real.world, bug);
  try {
    const details = await fc.check(playOn(real), { numRuns: 120, seed: 1, endOnFailure: true });
    return details.failed;
  } finally {
    await restore();
  }
}

test("each planted bug can be planted", async () => {
  for (const bug of plantedBugs) {
    const restore = await plant(world(), bug);
    await restore();
  }
});

test("the model finds planted bugs", { timeout: longestMs }, async () => {
  const real = await openRealFarm(world());
  const missed: string[] = [];
  for (const bug of plantedBugs.slice(0, campaign === undefined ? fewBugs : undefined))
    if (!(await isFound(real, bug))) missed.push(bug.what);
  expect(missed).toEqual([]);
});

test("no other function of the database writes the state of a task or an attempt than those that are listed with their events", async () => {
  const { sql } = world();
  const writes = await sql<{ name: string }>(
    `select p.proname as name from pg_proc p where p.proname like 'vf%'
       and p.prosrc ~ 'update (task|attempt)( \\w+)? set ((?!\\mwhere\\M)[^;])*\\m(state|began_at) = ' order by 1`,
  );
  const listed = Object.keys(movers).map((mover) => mover.split(" < "));
  expect(new Set(writes.map(({ name }) => name))).toEqual(new Set(listed.map(([first]) => first)));
  const callers = await sql<{ name: string }>("select p.proname as name from pg_proc p where p.prosrc ~ 'vf_requeue\\(' order by 1");
  const known = listed.flatMap(([mover, caller]) => (mover === "vf_requeue" && caller !== undefined ? [caller] : []));
  expect(callers.map(({ name }) => name)).toEqual([...new Set(known)].toSorted());
});
