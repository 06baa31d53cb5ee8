/**
 * `vapfarm workers cordon | uncordon | drain | clear`: take a worker out of work, and back.
 */
import type { Command } from "commander";
import { isOutage } from "../../client/patience.ts";
import { type FarmClient, present } from "../../client/farm-client.ts";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import { Worker } from "../../gen/proto/vapfarm/v1/farm.ts";
import { pause } from "../../platform/deadline.ts";
import { parseSpan } from "../ages.ts";
import { describeCommand, type FarmCall, type Finish, type JsonOption, onFarm, withFarmOptions } from "../command-line.ts";
import type { CliContext } from "../context.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import type { FarmOptions } from "../farm-address.ts";
import { plainText } from "../table.ts";

type SteerOptions = FarmOptions & JsonOption & { readonly reason?: string; readonly grace?: string; readonly wait?: boolean };

const cordonText = {
  name: "cordon",
  summary: "give a worker nothing new",
  description: "Gives a worker nothing new; what it runs goes on. It stays so over the worker's restarts.",
  examples: ["vapfarm workers cordon worker-1 --reason 'new driver'"],
} as const;
const uncordonText = {
  name: "uncordon",
  summary: "give a worker work again",
  description: "Takes cordon and drain back.",
  examples: ["vapfarm workers uncordon worker-1"],
} as const;
const drainText = {
  name: "drain",
  summary: "empty a worker",
  description:
    "Cordons a worker; what it still runs after the grace is given back, uncharged, and runs elsewhere. Without --grace its tasks run to their end.",
  examples: ["vapfarm workers drain worker-1", "vapfarm workers drain worker-1 --grace 5m --wait && sudo reboot"],
} as const;

const clearText = {
  name: "clear",
  summary: "forget a worker's failures",
  description:
    "Ends a worker's suspension or probation and the quarantine of its engines, and forgets what was held against it. A cordon stays.",
  examples: ["vapfarm workers clear worker-1"],
} as const;

/** Adds the command. */
export function clearCommand(context: CliContext, finish: Finish): Command {
  return withFarmOptions(describeCommand(clearText))
    .argument("<worker>", "name or id")
    .action(
      onFarm<SteerOptions>(context, finish, async (call) => {
        const { worker } = await call.client.calls.clearWorker({ workerId: call.args[0] ?? "" });
        print(call, present(worker, "worker"), "has nothing held against it");
        return undefined;
      }),
    );
}

/** Adds the command. */
export function cordonCommand(context: CliContext, finish: Finish): Command {
  return withFarmOptions(describeCommand(cordonText))
    .argument("<worker>", "name or id")
    .option("--reason <text>", "why, for people")
    .action(
      onFarm<SteerOptions>(context, finish, async (call) => {
        const { worker } = await call.client.calls.cordonWorker({ workerId: call.args[0] ?? "", reason: call.options.reason ?? "" });
        print(call, present(worker, "worker"), "gets nothing new");
        return undefined;
      }),
    );
}

/** Adds the command. */
export function uncordonCommand(context: CliContext, finish: Finish): Command {
  return withFarmOptions(describeCommand(uncordonText))
    .argument("<worker>", "name or id")
    .action(
      onFarm<SteerOptions>(context, finish, async (call) => {
        const { worker } = await call.client.calls.uncordonWorker({ workerId: call.args[0] ?? "" });
        print(call, present(worker, "worker"), "gets work again");
        return undefined;
      }),
    );
}

/** Adds the command. */
export function drainCommand(context: CliContext, finish: Finish): Command {
  return withFarmOptions(describeCommand(drainText))
    .argument("<worker>", "name or id")
    .option("--grace <time>", "how long its tasks may still run, such as 5m; 0s: not at all (else to their end)")
    .option("--reason <text>", "why, for people")
    .option("--wait", "return once it runs nothing")
    .action(onFarm<SteerOptions>(context, finish, drain));
}

async function drain(call: FarmCall<SteerOptions>): Promise<ExitCode | undefined> {
  const { client, options, context } = call;
  const grace = options.grace === undefined ? {} : { graceMs: BigInt(Math.round(parseSpan("--grace", options.grace))) };
  const request = { workerId: call.args[0] ?? "", reason: options.reason ?? "", ...grace };
  const drained = present((await client.calls.drainWorker(request)).worker, "worker");
  if (options.wait !== true) {
    print(call, drained, drained.running.length === 0 ? "is drained" : `drains, still runs ${drained.running.length}`);
    return undefined;
  }
  const empty = await untilEmpty(client, drained, context.interrupts.signal);
  if (empty === undefined) return exitCodes.interrupted;
  print(call, empty, "is drained");
  return undefined;
}

const lookAgainMs = 500;

/** The worker once it runs nothing; undefined when interrupted. */
async function untilEmpty(client: FarmClient, drained: Worker, signal: AbortSignal): Promise<Worker | undefined> {
  let worker = drained;
  while (worker.running.length > 0) {
    await pause(lookAgainMs, signal);
    if (signal.aborted) return undefined;
    worker = await client.calls.getWorker({ workerId: drained.workerId }, { signal }).then(
      (answer) => present(answer.worker, "worker"),
      (thrown: unknown) => {
        if (!signal.aborted && !isOutage(toFarmError(thrown))) throw toFarmError(thrown);
        return worker;
      },
    );
    if (worker.cordon === undefined) {
      const message = `worker ${worker.name} was uncordoned while it drained`;
      throw new FarmError("STAGE_CANCELLED", { message, details: { remedy: "drain it again" } });
    }
  }
  return worker;
}

function print({ context, options }: FarmCall<SteerOptions>, worker: Worker, text: string): void {
  if (options.json === true) context.output.json(context.toJson(Worker, worker));
  else context.output.line(plainText(`worker ${worker.name} ${text}`));
}
