/**
 * Runs the benchmarks and prints their figures: `node test/bench/main.ts [--short] [name …]`, all of them when none is named.
 */
import { artifacts } from "./artifacts.ts";
import { checkpoints } from "./checkpoints.ts";
import { dispatch } from "./dispatch.ts";
import { wholeFarm } from "./farm.ts";
import { manifests } from "./manifests.ts";
import { numerics } from "./numerics.ts";
import { order } from "./order.ts";
import { recovery } from "./recovery.ts";
import { type Bench, printFigures } from "./report.ts";
import { scaling } from "./scaling.ts";
import { scrape } from "./scrape.ts";
import { suite } from "./suite.ts";

const benches: Readonly<Record<string, Bench>> = {
  numerics,
  checkpoints,
  artifacts,
  dispatch,
  order,
  manifests,
  scrape,
  farm: wholeFarm,
  recovery,
  scaling,
  suite,
};
const short = process.argv.includes("--short");
const named = process.argv.slice(2).filter((argument) => !argument.startsWith("--"));

if (short) process.stdout.write("short form: shows that the benchmarks work; the figures are noise\n");
for (const [name, bench] of Object.entries(benches)) {
  if (named.length === 0 || named.includes(name)) printFigures(bench, await bench.run(short));
}
