/**
 * The farm: a coordinator that answers and is ready, of our release; workers that live; nothing held unknowingly.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { FarmClient } from "../../../client/farm-client.ts";
import { toFarmError } from "../../../domain/errors.ts";
import type { Farm, WorkerCounts } from "../../../gen/proto/vapfarm/v1/operator.ts";
import { type FarmOptions, findFarm, openFarm } from "../../farm-address.ts";
import { type Check, fail, ok, skip, type Verdict, warn } from "../verdict.ts";
import { judgeClock } from "./clock.ts";

/** What the farm says of itself. */
export type FarmFindings = {
  readonly address: string;
  readonly ourVersion: string;
  readonly farm: Farm | { readonly reason: string };
  /** Of /readyz; undefined when its address is not known here. */
  readonly ready: { readonly isReady: boolean; readonly text: string } | undefined;
};

/** Pure. */
export function judgeFarm({ address, ourVersion, farm, ready }: FarmFindings): readonly Verdict[] {
  if ("reason" in farm) {
    const remedy = "start a farm with `vapfarm up`, or correct --address, VAPFARM_ADDRESS or the context; read the coordinator's log";
    return [fail("coordinator", `${address} does not answer: ${farm.reason}`, remedy)];
  }
  return [
    ok("coordinator", `${farm.name} at ${address}`),
    judgeVersion(farm.version, ourVersion),
    judgeReady(ready),
    judgeWorkers(farm),
    judgeHolds(farm),
  ];
}

function judgeVersion(theirs: string, ours: string): Verdict {
  if (theirs === ours) return ok("release", ours);
  const [ourMajor, ourMinor] = ours.split(".").map(Number);
  const [major, minor] = theirs.split(".").map(Number);
  const found = `the farm is ${theirs}, this is ${ours}`;
  const isNeighbour = major === ourMajor && Math.abs((minor ?? 0) - (ourMinor ?? 0)) <= 1;
  return isNeighbour
    ? warn("release", found, "bring both to the same release")
    : fail("release", found, "use releases that are neighbours");
}

function judgeReady(ready: FarmFindings["ready"]): Verdict {
  if (ready === undefined) return skip("readiness", "the coordinator's HTTP address is not known here");
  if (ready.isReady) return ok("readiness", "/readyz says ready");
  return fail("readiness", `/readyz says: ${ready.text}`, "mend what it names: Postgres, NATS or the artifact store");
}

function judgeWorkers({ pools }: Farm): Verdict {
  const counts = pools.map(({ name, workers }) => ({ name, live: (workers?.idle ?? 0) + (workers?.busy ?? 0) }));
  const live = counts.reduce((sum, each) => sum + each.live, 0);
  const waiting = pools.filter(
    ({ queues, workers }) => (workers?.idle ?? 0) + (workers?.busy ?? 0) === 0 && queues.some(({ ready }) => ready > 0),
  );
  if (waiting.length > 0) {
    const names = waiting.map(({ name }) => name).join(", ");
    return fail("workers", `pools with work and without a live worker: ${names}`, "start workers of these pools; read the workers' logs");
  }
  if (live === 0) return warn("workers", "none is live", "start a worker, or `vapfarm up`");
  const shut = pools.filter(({ workers }) => workers !== undefined && isShut(workers)).map(({ name }) => name);
  if (shut.length > 0) {
    return warn(
      "workers",
      `every live worker is cordoned or suspended in ${shut.join(", ")}`,
      "`vapfarm workers` says why; `vapfarm workers uncordon`",
    );
  }
  const found = counts.map(({ name, live: each }) => `${each} in ${name}`);
  return ok("workers", found.join(", "));
}

/** Whether it has live workers, and none of them gets anything new. */
function isShut({ idle, busy, cordoned, suspended }: WorkerCounts): boolean {
  return idle + busy > 0 && cordoned + suspended >= idle + busy;
}

function judgeHolds({ holds }: Farm): Verdict {
  if (holds.length === 0) return ok("holds", "none");
  const names = holds.map(({ name, reason }) => `${name === "" ? "the farm" : name}${reason === "" ? "" : ` (${reason})`}`);
  return warn("holds", `nothing new starts for ${names.join(", ")}`, "`vapfarm holds` lists them, `vapfarm release` takes them away");
}

/** Over the farm that the options name. */
export function farmCheck(options: FarmOptions): Check {
  return {
    name: "farm",
    async run({ context, farm: ownFarm }) {
      const endpoint = await findFarm(context, options).catch(() => undefined);
      if (endpoint === undefined) return [skip("farm", "none runs on the data folder and none was named", "start one with `vapfarm up`")];
      const client = await openFarm(context, options);
      try {
        const ready = ownFarm?.grpcAddress === endpoint.address ? await readiness(ownFarm) : undefined;
        return await look(client, { address: endpoint.address, ready, ourVersion: await versionOf(context.projectFolder) });
      } finally {
        client.close();
      }
    },
  };
}

async function look(client: FarmClient, rest: Omit<FarmFindings, "farm">): Promise<readonly Verdict[]> {
  const asked = performance.now();
  const answer = await client.calls
    .getFarm({}, { deadlineMs: 5_000 })
    .catch((thrown: unknown) => ({ reason: toFarmError(thrown).message }));
  const uncertaintyMs = performance.now() - asked;
  if ("reason" in answer) return judgeFarm({ ...rest, farm: answer });
  const { farm } = answer;
  if (farm === undefined) return judgeFarm({ ...rest, farm: { reason: "its answer is empty" } });
  const offsetMs = farm.time === undefined ? undefined : farm.time.getTime() - Date.now();
  const clock = offsetMs === undefined ? [] : [judgeClock("clock of the farm", { offsetMs, uncertaintyMs })];
  return [...judgeFarm({ ...rest, farm }), ...clock];
}

type OwnFarm = { readonly processes: readonly { readonly name: string; readonly httpAddress?: string | undefined }[] };

async function readiness({ processes }: OwnFarm): Promise<FarmFindings["ready"]> {
  const address = processes.find(({ name }) => name === "coordinator")?.httpAddress;
  if (address === undefined) return undefined;
  try {
    const response = await fetch(`http://${address}/readyz`, { signal: AbortSignal.timeout(5_000) });
    return { isReady: response.ok, text: (await response.text()).trim() };
  } catch (thrown) {
    return { isReady: false, text: toFarmError(thrown).message };
  }
}

async function versionOf(projectFolder: string): Promise<string> {
  const { version } = JSON.parse(await readFile(join(projectFolder, "package.json"), "utf8")) as { readonly version: string };
  return version;
}
