/**
 * What is wrong with the rows of a manifest: the first of it by row, and how many rows are wrong.
 */
import type { Violations } from "../../domain/field-rules.ts";
import type { ManifestFault } from "../../gen/proto/vapfarm/v1/farm.ts";

/** Faults so far. */
export type FaultList = {
  /** Fields are as of a check of the render under the name "": `.image`. */
  add(row: number, violations: Violations): void;
  wrongRows(): number;
  list(): readonly ManifestFault[];
};

/** An empty list that keeps so many faults of so many rows. */
export function createFaultList(most: { readonly faults: number; readonly rows: number }): FaultList {
  const kept: ManifestFault[] = [];
  let wrongRows = 0;
  return {
    add(row, violations) {
      wrongRows += 1;
      if (wrongRows > most.rows) return;
      const told = violations.map(({ field, reason, remedy, code }) => ({ row, field: field.replace(/^\./, ""), reason, remedy, code }));
      kept.push(...told.slice(0, most.faults - kept.length));
    },
    wrongRows: () => wrongRows,
    list: () => kept,
  };
}
