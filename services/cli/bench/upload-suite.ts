/**
 * A checked suite onto the farm: each distinct content once, then the rows. What the farm has already is not sent, and what breaks off goes
 * on where it was, so an import that was interrupted is repeated as it is.
 */
import type { FarmClient } from "../../client/farm-client.ts";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import type { Suite, SuiteFault } from "../../gen/proto/vapfarm/v1/bench.ts";
import { mapBounded } from "../batch/bounded.ts";
import type { CliContext } from "../context.ts";
import { faultyFile } from "../file-faults.ts";
import { createCountView } from "./count-view.ts";
import type { LocalSuite } from "./read-suite.ts";
import type { SuiteFile } from "./suite-media.ts";

/** Where it goes. */
export type Uploading = { readonly client: FarmClient; readonly fileName: string; readonly asJson: boolean };

/** The suite as the farm has it. */
export type SuiteUploaded = { readonly suite: Suite; readonly existed: boolean };

const atOnce = 4;

/** Uploads media and rows; FIELD_INVALID with the farm's faults, each at its line. */
export async function uploadSuite(context: CliContext, suite: LocalSuite, uploading: Uploading): Promise<SuiteUploaded> {
  const { client, fileName } = uploading;
  const { signal } = context.interrupts;
  await uploadFiles(context, suite.files, uploading);
  const onOutage = ({ message }: FarmError): void => context.output.note(`  ${message}; asking again`);
  const header = { name: suite.name, suiteId: suite.suiteId };
  const answer = await client.importSuite({ header, rows: suite.rows }, { signal, onOutage });
  if (answer.faults.length > 0) throw faultyFile(fileName, answer.faults.map(fileFaultOf), "nothing was stored");
  if (answer.suite === undefined) throw new FarmError("PROTOCOL_UNSUPPORTED", { message: "the farm's answer has no suite" });
  return { suite: answer.suite, existed: answer.existed };
}

function fileFaultOf({ line, position, field, reason }: SuiteFault) {
  return { line, column: 1, field: `row ${position} ${field}`, reason, expected: "what the farm takes" };
}

async function uploadFiles(context: CliContext, files: readonly SuiteFile[], { client, asJson }: Uploading): Promise<void> {
  const view = createCountView(context.output, asJson);
  let done = 0;
  const uploadOne = async (file: SuiteFile): Promise<void> => {
    const { sha256 } = await client.upload(file.path, { signal: context.interrupts.signal }).catch((thrown: unknown) => {
      const error = toFarmError(thrown);
      throw new FarmError(error.code, { message: `${file.path}: ${error.message}`, details: error.details, cause: error });
    });
    if (sha256 !== file.sha256) throw changed(file.path);
    done += 1;
    view.show("upload clips", done, files.length);
  };
  try {
    await mapBounded(files, atOnce, uploadOne);
  } finally {
    view.stop();
  }
}

function changed(path: string): FarmError {
  const reason = "changed while it was imported";
  const fields = [{ field: path, reason, remedy: "leave the files alone until the import has ended, and import again" }];
  return new FarmError("FIELD_INVALID", { message: `${path} ${reason}; no suite was stored`, details: { fields } });
}
