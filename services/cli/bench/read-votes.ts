/**
 * A file of votes → votes, or everything that is wrong with it.
 *
 * Columns voter, trial, question (alignment or quality), methods (a JSON list, or names with `;` between them) and choice. Pure.
 */
import type { Vote } from "../../gen/proto/vapfarm/v1/bench.ts";
import { type FileFault, inOrder } from "../file-faults.ts";
import { type CsvCell, type CsvRecord, readCsv } from "./csv.ts";

/** What a file says. */
export type VotesReading = { readonly votes: readonly Vote[]; readonly faults: readonly FileFault[] };

const columns = ["voter", "trial", "question", "methods", "choice"] as const;
type VoteColumn = (typeof columns)[number];
type Cells = Readonly<Record<VoteColumn, CsvCell>>;

const mostVotes = 20_000;
const questions: readonly string[] = ["alignment", "quality"];

/** Reads a whole file's text. */
export function readVotes(text: string): VotesReading {
  const { records, faults: csvFaults } = readCsv(text);
  const [header, ...others] = records;
  const faults: FileFault[] = csvFaults.map((fault) => ({ ...fault, field: "" }));
  const names = (header?.cells ?? []).map((cell) => cell.text.trim().toLowerCase());
  for (const name of columns) {
    if (names.filter((each) => each === name).length === 1) continue;
    const reason = names.includes(name) ? "this column stands twice" : "this column is missing";
    faults.push({ line: header?.line ?? 1, column: 1, field: name, reason, expected: `one column ${name}` });
  }
  if (faults.length > 0) return { votes: [], faults: inOrder(faults) };
  if (others.length === 0 || others.length > mostVotes) {
    faults.push({ line: 1, column: 1, field: "", reason: `the file has ${others.length} votes`, expected: `1 to ${mostVotes}` });
  }
  const seen = new Map<string, number>();
  const votes = others.flatMap((record) => {
    const found = voteFaults(record, names, seen);
    faults.push(...found.faults);
    return found.vote ?? [];
  });
  return { votes, faults: inOrder(faults) };
}

type VoteReading = { readonly vote: Vote | undefined; readonly faults: readonly FileFault[] };

function voteFaults({ line, cells }: CsvRecord, names: readonly string[], seen: Map<string, number>): VoteReading {
  if (cells.length !== names.length) {
    const reason = `the row has ${cells.length} cells`;
    return { vote: undefined, faults: [{ line, column: 1, field: "", reason, expected: `${names.length}, as the header` }] };
  }
  const empty: CsvCell = { text: "", line, column: 1 };
  const own = Object.fromEntries(columns.map((name) => [name, cells[names.indexOf(name)] ?? empty])) as Cells;
  const vote = voteOf(own);
  const key = JSON.stringify([vote.voter, vote.trial, vote.question]);
  const before = seen.get(key);
  seen.set(key, before ?? line);
  const faults = [...faultsOf(own, vote), ...(before === undefined ? [] : [again(own, before)])];
  return { vote: faults.length === 0 ? vote : undefined, faults };
}

function voteOf({ voter, trial, question, methods, choice }: Cells): Vote {
  return {
    voter: voter.text.trim(),
    trial: trial.text.trim(),
    question: question.text.trim().toLowerCase(),
    methods: [...methodsOf(methods.text)],
    choice: choice.text.trim(),
  };
}

function methodsOf(text: string): readonly string[] {
  if (text.trim().startsWith("[")) {
    try {
      const list: unknown = JSON.parse(text);
      if (Array.isArray(list) && list.every((each) => typeof each === "string")) return list.map((each) => each.trim());
    } catch {
      return [];
    }
    return [];
  }
  return text
    .split(";")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

function faultsOf(cells: Cells, { voter, trial, question, methods, choice }: Vote): readonly FileFault[] {
  const fault = (field: VoteColumn, reason: string, expected: string): FileFault => {
    const { line, column } = cells[field];
    return { line, column, field, reason, expected };
  };
  return [
    ...(voter === "" ? [fault("voter", "is empty", "who voted")] : []),
    ...(trial === "" ? [fault("trial", "is empty", "what was compared")] : []),
    ...(questions.includes(question) ? [] : [fault("question", `is "${question}"`, questions.join(" or "))]),
    ...(methods.length >= 2 && new Set(methods).size === methods.length
      ? []
      : [fault("methods", "names no two different methods", 'a JSON list such as ["a", "b"], or names with ; between them')]),
    ...(methods.includes(choice) ? [] : [fault("choice", `"${choice}" is none of the methods`, "one of them; a tie is no vote")]),
  ];
}

function again({ voter: { line, column } }: Cells, before: number): FileFault {
  const reason = `the same voter answered this question of this trial on line ${before}`;
  return { line, column, field: "voter", reason, expected: "one vote for each trial and question" };
}
