/**
 * Runs the benchmarks and prints their figures: `node test/bench/main.ts [--short]`.
 */
import { checkpoints } from "./checkpoints.ts";
import { dispatch } from "./dispatch.ts";
import { wholeFarm } from "./farm.ts";
import { manifests } from "./manifests.ts";
import { numerics } from "./numerics.ts";
import { type Bench, printFigures } from "./report.ts";

const benches: readonly Bench[] = [numerics, checkpoints, dispatch, manifests, wholeFarm];
const short = process.argv.includes("--short");

if (short) process.stdout.write("short form: shows that the benchmarks work; the figures are noise\n");
for (const bench of benches) printFigures(bench, await bench.run(short));
