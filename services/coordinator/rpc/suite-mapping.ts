/**
 * Named pairs between bench.proto's suites and the domain's.
 */
import type { SuiteRow } from "../../domain/suite-rules.ts";
import { Suite, SuiteRow as WireRow } from "../../gen/proto/vapfarm/v1/bench.ts";
import type { SuiteView } from "../store/store-contract.ts";

/** A row as the rules read it. */
export function suiteRowFromProto(row: WireRow): SuiteRow {
  return {
    position: row.position,
    line: row.line,
    targetSha256: row.targetSha256,
    referenceSha256s: row.referenceSha256s,
    caption: row.caption,
    referenceCaptions: row.referenceCaptions,
    kind: row.kind,
    seed: row.seed,
    targetPath: row.targetPath,
    referencePaths: row.referencePaths,
  };
}

export function suiteRowToProto({ referenceSha256s, referenceCaptions, referencePaths, ...row }: SuiteRow): WireRow {
  return WireRow.create({
    ...row,
    referenceSha256s: [...referenceSha256s],
    referenceCaptions: [...referenceCaptions],
    referencePaths: [...referencePaths],
  });
}

export function suiteToProto({ suiteId, name, rowCount, kinds, createdAt }: SuiteView): Suite {
  return Suite.create({ suiteId, name, rowCount, createTime: createdAt, kinds: kinds.map(({ kind, rows }) => ({ kind, rows })) });
}
