/**
 * `vapfarm doctor`: what is wrong with this machine and its farm, and how to mend it.
 */
import { resolve } from "node:path";
import type { Command } from "commander";
import { toFarmError } from "../../domain/errors.ts";
import { describeCommand, type Finish, runBody, withFarmOptions } from "../command-line.ts";
import type { CliContext } from "../context.ts";
import { dataFolderOf, layoutOf, readFarmFile } from "../data-folder.ts";
import { artifactsCheck } from "../doctor/checks/artifacts.ts";
import { clockCheck } from "../doctor/checks/clock.ts";
import { farmCheck } from "../doctor/checks/farm.ts";
import { installCheck } from "../doctor/checks/install.ts";
import { machineCheck } from "../doctor/checks/machine.ts";
import { mediaCheck } from "../doctor/checks/media.ts";
import { modelsCheck } from "../doctor/checks/models.ts";
import { natsCheck } from "../doctor/checks/nats.ts";
import { nodeCheck } from "../doctor/checks/node.ts";
import { postgresCheck } from "../doctor/checks/postgres.ts";
import { providersCheck } from "../doctor/checks/providers.ts";
import { type Check, exitCodeOfVerdicts, fail, type Patient, type Status, type Verdict } from "../doctor/verdict.ts";
import type { ExitCode } from "../exit-codes.ts";
import type { FarmOptions } from "../farm-address.ts";

type DoctorOptions = FarmOptions & { readonly json?: boolean; readonly deep?: boolean; readonly models?: string };

const text = {
  name: "doctor",
  group: "machine",
  summary: "check this machine and its farm, and say how to mend what is wrong",
  description: `Checks Node, the installation, ffmpeg, execution providers, models, disk, memory, clock, NATS, Postgres, the artifact store and the farm. Looks at the
farm of the data folder, or at DATABASE_URL, NATS_URL and VAPFARM_ARTIFACTS; what is not there is skipped and said. Changes nothing: what it writes to see
whether that can be, it removes. Ends with 1 when something does not work.`,
  examples: ["vapfarm doctor", "vapfarm doctor --deep", "vapfarm doctor --json | jq '.checks[] | select(.status == \"fail\")'"],
} as const;

/** Adds the command. */
export function doctorCommand(context: CliContext, finish: Finish): Command {
  return withFarmOptions(describeCommand(text))
    .option("--deep", "hash every file of every model")
    .option("--models <folder>", "model repository (else VAPFARM_MODELS, else the running farm's, else the project's models)")
    .action(async (options: DoctorOptions) => finish(await runBody(context, () => doctor(context, options), options)));
}

async function doctor(context: CliContext, options: DoctorOptions): Promise<ExitCode> {
  const patient = await patientOf(context, options);
  const local = [nodeCheck, installCheck, mediaCheck, providersCheck, modelsCheck, machineCheck, clockCheck];
  const checks = [...local, natsCheck, postgresCheck, artifactsCheck, farmCheck(options)];
  // Side by side, told in their order.
  const running = checks.map((check) => runCheck(check, patient));
  const verdicts: Verdict[] = [];
  for (const each of running) {
    const told = await each;
    verdicts.push(...told);
    if (options.json !== true) for (const verdict of told) printVerdict(context, verdict);
  }
  if (options.json === true) context.output.json({ checks: verdicts, summary: countsOf(verdicts) });
  else context.output.line(summaryOf(verdicts));
  return exitCodeOfVerdicts(verdicts);
}

/** A check that throws has not told that all is well. */
async function runCheck(check: Check, patient: Patient): Promise<readonly Verdict[]> {
  try {
    return await check.run(patient);
  } catch (thrown) {
    return [fail(check.name, `the check itself failed: ${toFarmError(thrown).message}`, "report this as a bug")];
  }
}

async function patientOf(context: CliContext, options: DoctorOptions): Promise<Patient> {
  const { environment, projectFolder, workingFolder } = context;
  const setting = (name: string): string | undefined => (environment[name] === "" ? undefined : environment[name]);
  const layout = layoutOf(dataFolderOf(options.data, environment));
  const farm = await readFarmFile(layout.farmFile);
  const artifacts = setting("VAPFARM_ARTIFACTS") ?? farm?.artifacts;
  return {
    context,
    layout,
    farm,
    databaseUrl: setting("DATABASE_URL") ?? farm?.databaseUrl,
    natsUrl: setting("NATS_URL") ?? farm?.natsUrl,
    modelsFolder: resolve(workingFolder, options.models ?? setting("VAPFARM_MODELS") ?? farm?.models ?? resolve(projectFolder, "models")),
    artifacts,
    artifactsFolder: artifacts?.startsWith("folder:") === true ? artifacts.slice("folder:".length) : undefined,
    cacheFolder: resolve(workingFolder, setting("VAPFARM_CACHE") ?? resolve(projectFolder, ".cache")),
    isDeep: options.deep === true,
  };
}

const marks = { ok: "ok  ", warn: "WARN", fail: "FAIL", skip: "skip" } as const satisfies Readonly<Record<Status, string>>;
const formats = { ok: "green", warn: "yellow", fail: "red", skip: "dim" } as const satisfies Readonly<Record<Status, string>>;

function printVerdict({ output }: CliContext, { name, status, found, remedy }: Verdict): void {
  output.line(`${output.paint(formats[status], marks[status])}  ${name.padEnd(20)}  ${found}`);
  if (remedy !== "") output.line(`      ${"".padEnd(20)}  -> ${remedy}`);
}

function countsOf(verdicts: readonly Verdict[]): Readonly<Record<Status, number>> {
  const count = (status: Status): number => verdicts.filter((each) => each.status === status).length;
  return { ok: count("ok"), warn: count("warn"), fail: count("fail"), skip: count("skip") };
}

function summaryOf(verdicts: readonly Verdict[]): string {
  const { ok, warn, fail: failed, skip } = countsOf(verdicts);
  return `${ok} ok, ${warn} to look at, ${failed} wrong, ${skip} skipped`;
}
