/**
 * ImportResults, ListResults and GetResults; ImportVotes and GetPreference: what others measured and voted.
 *
 * A results file is kept as it came; what was read of it at its import is kept beside it. One that cannot be read at all is refused.
 */
import { createHash } from "node:crypto";
import { FarmError } from "../../domain/errors.ts";
import { refusalOf, refuseAny, type RuleViolation, textRule, violation, type Violations } from "../../domain/field-rules.ts";
import { titleRule } from "../../domain/suite-rules.ts";
import { type ImportedNumber, readEvalResults } from "../../domain/vbench/eval-results-reader.ts";
import { preferenceShares } from "../../domain/vbench/preference.ts";
import {
  type GetPreferenceRequest,
  type GetPreferenceResponse,
  type GetResultsRequest,
  type GetResultsResponse,
  type ImportedResults,
  type ImportResultsRequest,
  type ImportResultsResponse,
  type ImportVotesRequest,
  type ImportVotesResponse,
  type ListResultsRequest,
  type ListResultsResponse,
  type Preference,
  type Vote,
} from "../../gen/proto/vapfarm/v1/bench.ts";
import { type ImportedResultsView, type ImportedSummary, type ImportStore, mostNames, type StoredVote } from "../store/bench-contract.ts";
import type { Call } from "./method.ts";

const maxTextBytes = 3 * 1024 * 1024;
const maxVotes = 20_000;
/** Of a vote, and of all votes under a name. */
const maxMethods = 100;
const maxWordCharacters = 200;
const mostFaults = 100;
/** Of what was not understood of one file. */
const mostRemarks = 100;
const mostDimensions = 100;
const maxRemarkCharacters = 500;

/** The handler of ImportResults. */
export function createImportResults(store: Pick<ImportStore, "importResults">) {
  return async ({ name, text }: ImportResultsRequest, { caller }: Call): Promise<ImportResultsResponse> => {
    refuseAny([...titleRule("name", name), ...textRule("text", text, maxTextBytes)]);
    const bytes = Buffer.byteLength(text);
    refuseAny(bytes > maxTextBytes ? [violation("text", `has ${bytes} bytes, more than ${maxTextBytes}`, "split the file")] : []);
    const summary = summaryOf(text);
    const sha256 = createHash("sha256").update(text).digest("hex");
    const stored = await store.importResults(caller.tenant, { name, text, sha256, summary });
    if (stored === undefined) throw tooManyNames("results files");
    return { results: resultsToProto(stored) };
  };
}

/** The handler of ListResults. */
export function createListResults(store: Pick<ImportStore, "listResults">) {
  return async (_request: ListResultsRequest, { caller }: Call): Promise<ListResultsResponse> => {
    return { results: (await store.listResults(caller.tenant)).map(resultsToProto) };
  };
}

/** The handler of GetResults. */
export function createGetResults(store: Pick<ImportStore, "getResults">) {
  return async ({ name }: GetResultsRequest, { caller }: Call): Promise<GetResultsResponse> => {
    const found = titleRule("name", name).length > 0 ? undefined : await store.getResults(caller.tenant, name);
    if (found === undefined) throw nothingNamed("RESULTS_UNKNOWN", name);
    return { results: resultsToProto(found), text: found.text };
  };
}

function tooManyNames(what: string): FarmError {
  return refusalOf([violation("name", `is new, and there are ${mostNames} ${what} already`, "replace one: import under its name")]);
}

function nothingNamed(code: "RESULTS_UNKNOWN" | "VOTES_UNKNOWN", name: string): FarmError {
  const shown = name.slice(0, 80);
  const field = { field: "name", reason: `there is nothing named "${shown}"`, remedy: "choose a name that was imported" };
  return new FarmError(code, { details: { fields: [field], resource: shown } });
}

/** What can be read of the file; refused when nothing can. */
function summaryOf(text: string): ImportedSummary {
  const { dimensions, remarks, faults } = readEvalResults(text);
  const told = [...faults, ...remarks].map(({ path, reason }) => `${path}: ${reason}`.slice(0, maxRemarkCharacters).toWellFormed());
  const why = told[0] ?? "it has no dimension";
  const remedy = "send the text of a *_eval_results.json as VBench writes it";
  refuseAny(dimensions.length === 0 ? [violation("text", `holds no result: ${why}`, remedy)] : []);
  const kept = dimensions.slice(0, mostDimensions).map(({ dimension, setScore, videos }) => ({
    dimension: dimension.slice(0, maxWordCharacters).toWellFormed(),
    value: numberOf(setScore),
    count: videos.filter(({ value }) => numberOf(value) !== null).length,
  }));
  return { dimensions: kept, remarks: shortened(told) };
}

function numberOf(value: ImportedNumber): number | null {
  return typeof value === "number" ? value : null;
}

function shortened(remarks: readonly string[]): readonly string[] {
  if (remarks.length <= mostRemarks) return remarks;
  return [...remarks.slice(0, mostRemarks - 1), `and ${remarks.length - mostRemarks + 1} more`];
}

function resultsToProto({ name, sha256, importedAt, summary }: ImportedResultsView): ImportedResults {
  const dimensions = summary.dimensions.map(({ dimension, value, count }) => ({ dimension, value: value ?? undefined, count }));
  return { name, sha256, importTime: importedAt, dimensions, remarks: [...summary.remarks] };
}

/** The handler of ImportVotes. */
export function createImportVotes(store: Pick<ImportStore, "importVotes">) {
  return async ({ name, votes }: ImportVotesRequest, { caller }: Call): Promise<ImportVotesResponse> => {
    const isFew = votes.length >= 1 && votes.length <= maxVotes;
    refuseAny([...titleRule("name", name), ...(isFew ? [] : [violation("votes", `has ${votes.length} votes`, `send 1 to ${maxVotes}`)])]);
    refuseAny(votes.flatMap(voteViolations).slice(0, mostFaults));
    refuseAny(methodViolations(votes));
    const stored = votes.flatMap(voteFromProto);
    refuseAny(refusedVotes(stored).slice(0, mostFaults));
    if ((await store.importVotes(caller.tenant, name, stored)) === "full") throw tooManyNames("sets of votes");
    return { preference: preferenceOf(name, stored) };
  };
}

/** The handler of GetPreference. */
export function createGetPreference(store: Pick<ImportStore, "listVotes">) {
  return async ({ name }: GetPreferenceRequest, { caller }: Call): Promise<GetPreferenceResponse> => {
    const votes = titleRule("name", name).length > 0 ? [] : await store.listVotes(caller.tenant, name);
    if (votes.length === 0) throw nothingNamed("VOTES_UNKNOWN", name);
    return { preference: preferenceOf(name, votes) };
  };
}

const questions = { alignment: "semantic_alignment", quality: "overall_quality" } as const;

function voteViolations({ voter, trial, question, methods, choice }: Vote, index: number): Violations {
  const at = `votes[${index}]`;
  const found: RuleViolation[] = [
    ...textRule(`${at}.voter`, voter, maxWordCharacters),
    ...textRule(`${at}.trial`, trial, maxWordCharacters),
    ...methods.flatMap((method, place) => textRule(`${at}.methods[${place}]`, method, maxWordCharacters)),
  ];
  if (!Object.hasOwn(questions, question)) {
    found.push(violation(`${at}.question`, "is neither alignment nor quality", "say which of the two was asked"));
  }
  const isFew = methods.length >= 2 && methods.length <= maxMethods && new Set(methods).size === methods.length;
  if (!isFew) found.push(violation(`${at}.methods`, "does not name 2 or more different methods", "name each that was shown, once"));
  if (!methods.includes(choice))
    found.push(violation(`${at}.choice`, "is none of the methods", "name the method that was chosen; a tie is no vote"));
  return found;
}

/** At the vote that names one method too many. */
function methodViolations(votes: readonly Vote[]): Violations {
  const known = new Set<string>();
  const index = votes.findIndex(({ methods }) => {
    methods.forEach((method) => known.add(method));
    return known.size > maxMethods;
  });
  if (index === -1) return [];
  const reason = `brings the methods under this name to ${known.size}, more than ${maxMethods}`;
  return [violation(`votes[${index}].methods`, reason, "import the votes under several names")];
}

function voteFromProto({ voter, trial, question, methods, choice }: Vote): readonly StoredVote[] {
  return question === "alignment" || question === "quality" ? [{ voter, trial, question, methods, choice }] : [];
}

/** What the domain counts for nobody, e.g. a second answer to one question. */
function refusedVotes(votes: readonly StoredVote[]): Violations {
  return sharesOf(votes).refused.map(({ index, reason }) => violation(`votes[${index}]`, reason, "send each answer once, and no ties"));
}

function sharesOf(votes: readonly StoredVote[]) {
  const methods = [...new Set(votes.flatMap((vote) => vote.methods))].sort();
  const counted = votes.map(({ voter, trial, question, choice }) => ({ rater: voter, trial, question: questions[question], choice }));
  return preferenceShares(methods, counted);
}

function preferenceOf(name: string, votes: readonly StoredVote[]): Preference {
  const { shares } = sharesOf(votes);
  const askedOf = (question: StoredVote["question"]): number => votes.filter((vote) => vote.question === question).length;
  const percent = (part: number, whole: number): number => (whole === 0 ? 0 : (100 * part) / whole);
  const [alignment, quality] = [askedOf("alignment"), askedOf("quality")];
  const listed = shares.map(({ method, votes: selections, byQuestion }) => ({
    method,
    percent: percent(selections, votes.length),
    alignmentPercent: percent(byQuestion.semantic_alignment, alignment),
    qualityPercent: percent(byQuestion.overall_quality, quality),
    selections,
  }));
  const byShare = listed.toSorted((one, other) => other.selections - one.selections);
  return { name, shares: byShare, voters: new Set(votes.map(({ voter }) => voter)).size, votes: votes.length };
}
