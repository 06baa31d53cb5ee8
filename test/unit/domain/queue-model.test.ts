import fc from "fast-check";
import { test } from "vitest";
import { commands, runPlay } from "../../support/model/commands.ts";

const runs = Number(process.env["VAPFARM_MODEL_RUNS"] ?? 500);

test("whatever is done in whatever order, the table of moves has every move that comes of it, and the model keeps its promises", async () => {
  const property = fc.asyncProperty(commands(100), async (sequence) => {
    await runPlay(sequence, undefined);
  });
  await fc.assert(property, { numRuns: runs });
});
