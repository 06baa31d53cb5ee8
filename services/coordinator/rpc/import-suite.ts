/**
 * ImportSuite: rows checked as they come and stored as one suite, all or none.
 *
 * Neither this process nor a statement holds the whole: as with a manifest, rows that are right go into a temporary file until the last has been
 * checked, and of each only its digest stays here. The same rows are the suite that is there already, with its name; a client that says what the
 * suite must come to learns when it comes to something else.
 */
import { createHash, randomUUID } from "node:crypto";
import { join } from "node:path";
import { refusalOf, refuseAny, violation, type Violations } from "../../domain/field-rules.ts";
import { isSha256 } from "../../domain/ids.ts";
import { rowDigest, suiteIdOf } from "../../domain/suite-id.ts";
import { maxSuiteKinds, maxSuiteRows, type SuiteRow, suiteRowViolations, titleRule } from "../../domain/suite-rules.ts";
import {
  type ImportSuiteRequest,
  ImportSuiteResponse,
  type SuiteFault,
  type SuiteHeader,
  type SuiteRows,
} from "../../gen/proto/vapfarm/v1/bench.ts";
import type { MediaStore, MissingClip, SuiteKind, SuiteStore } from "../store/store-contract.ts";
import type { Call } from "./method.ts";
import { readParted, requireFew } from "./parted-messages.ts";
import { openCodedFile, type RowFile } from "./row-file.ts";
import type { ManifestDependencies } from "./submit-manifest.ts";
import { suiteRowFromProto, suiteToProto } from "./suite-mapping.ts";

const mostFaults = 200;

/** What importing works with; it takes the places of manifests. */
export type ImportDependencies = Pick<ManifestDependencies, "manifests" | "temporaryFolder" | "idleMs"> & {
  readonly store: Pick<MediaStore, "findUploads"> & Pick<SuiteStore, "importSuite">;
};

/** A suite on its way. */
type Import = {
  readonly header: SuiteHeader;
  readonly file: RowFile<SuiteRow>;
  readonly call: Call;
  /** Of the rows so far. */
  readonly digests: string[];
  readonly kinds: Map<string, number>;
  readonly faults: SuiteFault[];
};

/** The handler of ImportSuite. */
export function createImportSuite(dependencies: ImportDependencies) {
  return (messages: AsyncIterable<ImportSuiteRequest>, call: Call): Promise<ImportSuiteResponse> =>
    dependencies.manifests.useNow("FARM_BUSY", async () => {
      const { idleMs, temporaryFolder } = dependencies;
      const { header, parts } = await readParted<SuiteHeader, "rows", SuiteRows>(messages, {
        what: "suite",
        parts: "rows",
        idleMs,
        signal: call.signal,
      });
      refuseAny(headerViolations(header));
      const file = await openCodedFile(join(temporaryFolder, `suite-${randomUUID()}`), rowCoding);
      try {
        const suite: Import = { header, file, call, digests: [], kinds: new Map(), faults: [] };
        await checkAll(dependencies, suite, parts);
        return await store(dependencies, suite);
      } finally {
        await file.remove();
      }
    });
}

/** JSON has no integers of 64 bits. */
const rowCoding = {
  encode: ({ seed, ...row }: SuiteRow) => ({ ...row, seed: seed.toString() }),
  decode: ({ seed, ...row }: Omit<SuiteRow, "seed"> & { readonly seed: string }): SuiteRow => ({ ...row, seed: BigInt(seed) }),
};

function headerViolations({ name, suiteId }: SuiteHeader): Violations {
  const isId = suiteId === "" || isSha256(suiteId);
  return [
    ...titleRule("name", name),
    ...(isId ? [] : [violation("suite_id", "is no SHA-256 in lower-case hex", "give the id that the suite must come to, or none")]),
  ];
}

async function checkAll(dependencies: ImportDependencies, suite: Import, parts: AsyncIterable<SuiteRows>): Promise<void> {
  for await (const { rows } of parts) {
    requireFew("rows", rows);
    const count = suite.digests.length + rows.length;
    refuseAny(count > maxSuiteRows ? [violation("rows", `has more than ${maxSuiteRows}`, "split the suite")] : []);
    await checkSome(dependencies, suite, rows.map(suiteRowFromProto));
    suite.call.signal.throwIfAborted();
  }
  refuseAny(suite.digests.length === 0 ? [violation("rows", "is empty", "send at least one row")] : []);
}

async function checkSome(dependencies: ImportDependencies, suite: Import, rows: readonly SuiteRow[]): Promise<void> {
  const { call, digests, kinds, faults, file } = suite;
  const hashes = new Set(rows.flatMap(({ targetSha256, referenceSha256s }) => [targetSha256, ...referenceSha256s]).filter(isSha256));
  const uploads = new Map((await dependencies.store.findUploads(call.caller.tenant, [...hashes])).map((upload) => [upload.sha256, upload]));
  for (const row of rows) {
    const found = suiteRowViolations(row, digests.length, uploads);
    faults.push(...found.slice(0, mostFaults - faults.length).map((one) => faultOf(row, one)));
    // A row that is wrong has its place, no more: the suite is not stored.
    digests.push(found.length > 0 ? "" : rowDigest(row, sha256));
    if (faults.length === 0) kinds.set(row.kind, (kinds.get(row.kind) ?? 0) + 1);
  }
  refuseAny(kinds.size > maxSuiteKinds ? [violation("kind", `has more than ${maxSuiteKinds} values`, "name fewer conditions")] : []);
  if (faults.length === 0) await file.add(rows);
}

function faultOf(
  { position, line }: Pick<SuiteRow, "position" | "line">,
  { field, reason }: { field: string; reason: string },
): SuiteFault {
  return { position, line, field, reason };
}

async function store(dependencies: ImportDependencies, suite: Import): Promise<ImportSuiteResponse> {
  const { header, file, call, digests, faults } = suite;
  if (faults.length > 0) return ImportSuiteResponse.create({ faults });
  await file.seal();
  const suiteId = suiteIdOf(digests, sha256);
  if (header.suiteId !== "" && header.suiteId !== suiteId) throw otherSuite(header.suiteId, suiteId);
  call.signal.throwIfAborted();
  const outcome = await dependencies.store.importSuite({
    tenant: call.caller.tenant,
    suiteId,
    name: header.name,
    rowCount: digests.length,
    kinds: kindsOf(suite),
    parts: () => file.parts(),
  });
  if (outcome.kind === "invalid") return ImportSuiteResponse.create({ faults: outcome.missing.map(goneClip) });
  return { suite: suiteToProto(outcome.suite), existed: outcome.kind === "existed", faults: [] };
}

function otherSuite(expected: string, came: string) {
  const remedy = "read the file and its media again: something changed between reading and sending";
  return refusalOf([violation("suite_id", `is ${expected}, but the rows come to ${came}`, remedy)]);
}

function kindsOf({ kinds }: Import): readonly SuiteKind[] {
  return [...kinds].map(([kind, rows]) => ({ kind, rows })).sort((one, other) => (one.kind < other.kind ? -1 : 1));
}

function goneClip(missing: MissingClip): SuiteFault {
  return faultOf(missing, { field: missing.field, reason: `no upload ${missing.sha256} of this tenant` });
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
