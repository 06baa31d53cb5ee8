/**
 * The coordinator's process. The only file of the coordinator that reads the environment.
 */
import { toFarmError } from "../domain/errors.ts";
import { runMain, sequence, tellParent } from "../platform/lifecycle.ts";
import { createLogger } from "../platform/logging.ts";
import { createCoordinator } from "./app.ts";
import { readCoordinatorConfig } from "./config.ts";
import { openResources } from "./open-resources.ts";

const stopDeadlineMs = 15_000;

async function main(): Promise<void> {
  const config = readCoordinatorConfig(process.env);
  const logger = createLogger({ name: "coordinator", level: config.VAPFARM_LOG_LEVEL });
  const { closing, ...resources } = await openResources(config, logger);
  const coordinator = createCoordinator({ config, resources, logger });
  await runMain({
    component: sequence([closing, coordinator]),
    logger,
    exitWithParent: config.VAPFARM_EXIT_WITH_PARENT,
    stopDeadlineMs,
    onReady: () => {
      const addresses = { grpcAddress: coordinator.grpcAddress(), httpAddress: coordinator.httpAddress() };
      logger.info(addresses, "answering");
      tellParent({ kind: "ready", name: "coordinator", ...addresses });
    },
  });
}

main().catch((thrown: unknown) => {
  const error = toFarmError(thrown);
  const facts = { err: error, code: error.code, remedy: error.row.remedy };
  createLogger({ name: "coordinator", level: "info" }).fatal(facts, `could not start: ${error.message}`);
  process.exit(1);
});
