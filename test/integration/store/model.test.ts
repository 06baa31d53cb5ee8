import fc from "fast-check";
import { expect, test } from "vitest";
import { commands, runPlay } from "../../support/model/commands.ts";
import { isListed, logMoves, loggedMoves, movers } from "../../support/model/movers.ts";
import { plant, type PlantedBug, plantedBugs } from "../../support/model/planted-bugs.ts";
import type { RealFarm } from "../../support/model/play.ts";
import { emptyFarm, openRealFarm } from "../../support/model/real-farm.ts";
import { modelOptions, useWorld } from "../../support/store-suite.ts";

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

test(
  "after whatever is done in whatever order, the store is what the model says, and each move has its event",
  { timeout: longestMs },
  async () => {
    const real = await openRealFarm(world());
    await logMoves(world());
    await fc.assert(playOn(real), { numRuns: runs });
    const moves = await loggedMoves(world());
    expect(moves.filter((move) => !isListed(move))).toEqual([]);
    // The log was written; which moves chance brings about differs from run to run.
    expect(moves).toContainEqual({ entity: "task", was: "running", is_now: "succeeded", mover: "vf_succeed", caller: "vf_apply_report" });
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
       and p.prosrc ~ 'update (task|attempt)( \\w+)? set ((?!\\mwhere\\M)[^;])*\\mstate = ' order by 1`,
  );
  const listed = new Set(Object.keys(movers).map((mover) => mover.split(" < ")[0]));
  expect(new Set(writes.map(({ name }) => name))).toEqual(listed);
  const callers = await sql<{ name: string }>("select p.proname as name from pg_proc p where p.prosrc ~ 'vf_requeue\\(' order by 1");
  const known = Object.keys(movers).flatMap((mover) => mover.split("vf_requeue < ")[1] ?? []);
  expect(callers.map(({ name }) => name)).toEqual(known.toSorted());
});
