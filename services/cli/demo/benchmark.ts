/**
 * The demo's benchmark: two rows, rendered, measured and reported as `vapfarm bench` does it.
 */
import { join } from "node:path";
import type { FarmClient } from "../../client/farm-client.ts";
import { importSuite } from "../commands/bench/import.ts";
import { reportRun } from "../commands/bench/report.ts";
import { runSuite } from "../commands/bench/run.ts";
import type { CliContext } from "../context.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";

/** On which farm, with how many steps, and where the page goes. */
export type DemoBenchmark = { readonly client: FarmClient; readonly address: string; readonly steps: string; readonly out: string };

const name = "demo";

/** Runs it and writes its page. */
export async function showBenchmark(context: CliContext, { client, address, steps, out }: DemoBenchmark): Promise<ExitCode> {
  const folder = join(context.projectFolder, "demo");
  await importSuite(context, join(folder, "benchmark.csv"), { root: folder, name, seed: "42", address });
  const options = {
    model: "demo",
    steps,
    seeds: "1",
    seed: "42",
    reuse: "inputs",
    priority: "0",
    panels: true,
    out: join(out, "benchmark"),
  };
  const code = await runSuite({ context, client, options, args: [name] });
  const { runs } = await client.calls.listRuns({ pageSize: 1 });
  const [run] = runs;
  if (code !== exitCodes.ok || run === undefined) return code;
  const page = join(out, "benchmark.html");
  await reportRun({ context, client, options: { html: page, clips: "all", clipsLimit: "16" }, args: [run.runId] });
  return exitCodes.ok;
}
