/**
 * deploy/METRICS.md as data: what each row says of a metric.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { projectRoot } from "./ffmpeg.ts";

export type MetricRow = {
  readonly name: string;
  readonly type: string;
  /** Label → its values, where the row lists all of them. */
  readonly labels: ReadonlyMap<string, readonly string[] | undefined>;
  readonly unit: string;
  readonly processes: readonly ("coordinator" | "worker")[];
  readonly meaning: string;
};

const columns = ["metric", "type", "labels", "unit", "process", "meaning", "look at it when"];

/** Every row of every table; throws where a table has other columns. */
export function readMetricTable(): readonly MetricRow[] {
  const lines = readFileSync(join(projectRoot, "deploy/METRICS.md"), "utf8").split("\n");
  const tables = lines.filter((line) => line.startsWith("| metric "));
  for (const header of tables) {
    if (cellsOf(header).join() !== columns.join()) throw new TypeError(`another table's columns: ${header}`);
  }
  return lines.filter((line) => line.startsWith("| `vapfarm_")).map(rowOf);
}

function cellsOf(line: string): readonly string[] {
  return line
    .slice(1, -1)
    .split("|")
    .map((cell) => cell.trim());
}

function rowOf(line: string): MetricRow {
  const [name = "", type = "", labels = "", unit = "", process = "", meaning = "", ...rest] = cellsOf(line);
  if (rest.length !== 1) throw new TypeError(`a row of other columns: ${line}`);
  const where = process.replace(" (store)", "");
  return {
    name: name.replaceAll("`", ""),
    type,
    labels: new Map(labels === "" ? [] : labels.split(";").map(labelOf)),
    unit,
    processes: where === "both" ? ["coordinator", "worker"] : where === "coordinator" || where === "worker" ? [where] : [],
    meaning,
  };
}

/** `name`, `name`: `value` `value` …; anything else after the colon is prose, and lists no values. */
function labelOf(text: string): readonly [string, readonly string[] | undefined] {
  const [, label = "", rest = ""] = /^`([a-z_]+)`(.*)$/.exec(text.trim()) ?? [];
  if (label === "") throw new TypeError(`no label: ${text}`);
  const isList = /^:( `[^`]+`)+$/.test(rest);
  return [label, isList ? [...rest.matchAll(/`([^`]+)`/g)].map(([, value = ""]) => value) : undefined];
}
