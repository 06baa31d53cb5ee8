/**
 * The stage runtime's process: a child of the worker agent (or of `vapfarm render --local`).
 *
 * When the IPC channel closes its parent is gone or wants it gone, and it ends itself with SIGKILL, because an exit would wait for the native
 * call. Ctrl-C reaches the whole terminal group; a child ignores it, so that the agent can drain.
 */
import { fileURLToPath } from "node:url";
import { type FarmError, toFarmError } from "../../domain/errors.ts";
import { tellParent } from "../../platform/lifecycle.ts";
import { createLogger } from "../../platform/logging.ts";
import { createRuntimeApp } from "./app.ts";
import { readRuntimeConfig, type RuntimeConfig } from "./config.ts";

function killSelf(): void {
  process.kill(process.pid, "SIGKILL");
}

function fail(error: FarmError, logLevel: RuntimeConfig["logLevel"] = "info"): void {
  const { code, message, row } = error;
  createLogger({ name: "runtime", level: logLevel }).fatal({ err: error, code, remedy: row.remedy }, message);
  if (process.send === undefined) process.exit(1);
  // The parent should know why before the process is gone.
  else process.send({ kind: "failed", code, message }, () => process.exit(1));
}

async function main(): Promise<void> {
  process.on("disconnect", killSelf);
  process.on("SIGTERM", killSelf);
  if (process.send !== undefined) process.on("SIGINT", () => undefined);
  const cacheFolder = fileURLToPath(new URL("../../../.cache", import.meta.url));
  const config = readRuntimeConfig(process.env, cacheFolder);
  const logger = createLogger({ name: "runtime", level: config.logLevel });
  const app = createRuntimeApp(config, { processId: process.pid, logger, onDeath: (error) => fail(error, config.logLevel) });
  await app.start();
  tellParent({ kind: "ready", address: app.address(), processId: process.pid });
  const { providers, threads } = config.inference;
  logger.info({ address: app.address(), providers, threads }, "stage runtime ready");
}

main().catch((thrown: unknown) => fail(toFarmError(thrown, "RUNTIME_START_FAILED")));
