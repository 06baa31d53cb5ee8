/**
 * What only the farm or the configuration knows, for completion: one second at most, and nothing at all rather than an error.
 */
import type { FarmClient } from "../../client/farm-client.ts";
import { JobState } from "../../gen/proto/vapfarm/v1/farm.ts";
import { withDeadline } from "../../platform/deadline.ts";
import type { CliContext } from "../context.ts";
import { configPath, readConfig } from "../contexts/config-file.ts";
import { type FarmOptions, withFarm } from "../farm-address.ts";
import type { DynamicKind } from "./tree.ts";

/** A value and what it is, for shells that show descriptions. */
export type Candidate = { readonly value: string; readonly description: string };

const deadlineMs = 1_000;
/** Nobody reads more. */
const mostJobs = 50;

/** The candidates of a kind; none when they cannot be had in time. */
export async function candidatesOf(context: CliContext, kind: DynamicKind, options: FarmOptions): Promise<readonly Candidate[]> {
  const asked = kind === "contexts" ? contexts(context) : withFarm(context, options, (client) => fromFarm(kind, client));
  // Completion is a courtesy: whatever goes wrong, the line stays as it was typed.
  return withDeadline(asked, { ms: deadlineMs, what: "completion" }).catch(() => []);
}

async function contexts({ environment }: CliContext): Promise<readonly Candidate[]> {
  const config = await readConfig(configPath(environment));
  return Object.entries(config.contexts).map(([value, { address }]) => ({ value, description: address }));
}

async function fromFarm(kind: Exclude<DynamicKind, "contexts">, { calls }: FarmClient): Promise<readonly Candidate[]> {
  const control = { deadlineMs };
  switch (kind) {
    case "jobs": {
      const { jobs } = await calls.listJobs({ pageSize: mostJobs }, control);
      return jobs.map(({ jobId, state, createTime }) => ({
        value: jobId,
        description: `${stateText(state)} ${createTime?.toISOString() ?? ""}`,
      }));
    }
    case "workers": {
      const { workers } = await calls.listWorkers({}, control);
      return workers.map(({ name, pool }) => ({ value: name, description: pool }));
    }
    case "models": {
      const { models } = await calls.listModels({}, control);
      const named = models.flatMap(({ name, aliases, variant }) =>
        [name, ...aliases.map((alias) => `${name}@${alias}`)].map((value) => ({ value, description: variant })),
      );
      return [...new Map(named.map((one) => [one.value, one])).values()];
    }
    case "suites": {
      const { suites } = await calls.listSuites({ pageSize: mostJobs }, control);
      return suites.map(({ suiteId, name, rowCount }) => ({ value: suiteId.slice(0, 12), description: `${name} ${rowCount} rows` }));
    }
    case "runs": {
      const { runs } = await calls.listRuns({ pageSize: mostJobs }, control);
      return runs.map(({ runId, suiteName, model, state }) => ({ value: runId, description: `${suiteName} on ${model} ${state}` }));
    }
    case "pools": {
      const { farm } = await calls.getFarm({}, control);
      return (farm?.pools ?? []).map(({ name, profile }) => ({ value: name, description: profile }));
    }
  }
}

function stateText(state: JobState): string {
  const name = Object.entries(JobState).find(([, value]) => value === state)?.[0] ?? "";
  return name.replace("JOB_STATE_", "").toLowerCase();
}

/** The farm that a half-typed line names. */
export function farmOptionsOf(words: readonly string[]): FarmOptions {
  const named = ["address", "context", "data"].flatMap((name) => {
    const inOne = words.find((word) => word.startsWith(`--${name}=`))?.slice(name.length + 3);
    const at = words.indexOf(`--${name}`);
    // bash hands "--address=x" over as three words.
    const after = at < 0 ? undefined : words[at + 1] === "=" ? words[at + 2] : words[at + 1];
    const value = inOne ?? after;
    return value === undefined || value === "" ? [] : [[name, value]];
  });
  return Object.fromEntries(named) as FarmOptions;
}
