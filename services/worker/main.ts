/**
 * The worker agent's process. A first SIGTERM drains, a second ends it and its runtime at once; the runtime ends itself when this process
 * is gone for another reason.
 */
import { runMain, tellParent } from "../platform/lifecycle.ts";
import { createLogger } from "../platform/logging.ts";
import { toFarmError } from "../domain/errors.ts";
import { createWorkerApp, stopDeadlineMs } from "./app.ts";
import { readWorkerConfig, runtimeEnvironment } from "./config.ts";

async function main(): Promise<void> {
  const config = readWorkerConfig(process.env);
  const logger = createLogger({ name: "worker", level: config.logLevel }).child({ worker: config.name });
  const app = createWorkerApp({ config, logger, runtimeEnvironment: runtimeEnvironment(config, process.env), startedAtMs: 0 });
  await runMain({
    component: app,
    logger,
    exitWithParent: config.exitWithParent,
    stopDeadlineMs: stopDeadlineMs(config),
    ended: app.ended,
    onKill: () => app.kill(),
    onReady: () => tellParent({ kind: "ready", name: config.name, httpAddress: app.httpAddress() }),
  });
}

main().catch((thrown: unknown) => {
  const error = toFarmError(thrown);
  createLogger({ name: "worker", level: "info" }).fatal({ err: error, code: error.code, remedy: error.row.remedy }, error.message);
  process.exit(1);
});
