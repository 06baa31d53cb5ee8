/**
 * Design §4.12, the store's invariant 9: an artifact's row comes before its bytes and goes after them; what is stored is what its name says;
 * what is needed is there. A download is the bytes that the job's result names.
 */
import type { Facts } from "../facts.ts";
import type { ClientCall } from "../journal-entries.ts";
import type { Finding, Rule } from "../violation.ts";
import { jobName, numberOf, textOf } from "../words.ts";

export const artifacts: Rule<Facts> = {
  sentence: "an artifact's row comes before its bytes and goes after them, and its bytes are what its name says",
  check: (facts) => [...bytes(facts), ...rows(facts), ...named(facts), ...facts.calls.flatMap((call) => downloaded(facts, call))],
};

const artifactName = (sha256: string): string => `artifact ${sha256.slice(0, 16)}`;
const damagedOf = (facts: Facts): ReadonlySet<string> =>
  new Set(facts.tester.flatMap((line) => (line.kind === "damaged" ? [line.sha256] : [])));

function bytes(facts: Facts): readonly Finding[] {
  const known = new Set(facts.database.artifact.map(({ sha256 }) => sha256));
  const damaged = damagedOf(facts);
  return (facts.artifacts ?? []).flatMap((file) => {
    const where = artifactName(file.name);
    if (!known.has(file.name)) return [{ where, what: "its bytes are there without a row", evidence: [file] }];
    const isRight = file.sha256 === file.name || damaged.has(file.name);
    return isRight ? [] : [{ where, what: "its bytes have another hash", evidence: [file] }];
  });
}

function rows(facts: Facts): readonly Finding[] {
  if (facts.artifacts === undefined) return [];
  const files = new Map(facts.artifacts.map((file) => [file.name, file]));
  const damaged = damagedOf(facts);
  return facts.database.artifact.flatMap((row) => {
    const file = files.get(row.sha256);
    const say = (what: string): readonly Finding[] => [{ where: artifactName(row.sha256), what, evidence: [row, file] }];
    // A condemned row may outlive its bytes, a damaged file may have any size.
    if (!row.is_stored || row.condemned_at !== null || damaged.has(row.sha256)) return [];
    if (file === undefined) return say("it is marked as stored and its bytes are not there");
    return file.sizeBytes === row.size_bytes ? [] : say(`it has ${file.sizeBytes} bytes, its row says ${row.size_bytes}`);
  });
}

/** Results, checkpoints and uploads name artifacts that are stored. */
function named(facts: Facts): readonly Finding[] {
  const stored = new Set(facts.database.artifact.filter(({ is_stored }) => is_stored).map(({ sha256 }) => sha256));
  const results = facts.database.task_output.map((row) => ({ what: `the ${row.name} of task ${row.task_id}`, row }));
  const uploads = facts.database.upload.map((row) => ({ what: "an upload", row }));
  // What was spoilt is not stored any more once a worker has missed it.
  const damaged = damagedOf(facts);
  return [...results, ...uploads].flatMap(({ what, row }) => {
    return stored.has(row.sha256) || damaged.has(row.sha256)
      ? []
      : [{ where: artifactName(row.sha256), what: `${what} names it and it is not stored`, evidence: [row] }];
  });
}

function downloaded(facts: Facts, call: ClientCall): readonly Finding[] {
  if (call.call !== "downloadArtifact" || !call.isOver || call.bytesSha256 === undefined) return [];
  const [jobId, name] = [textOf(call.request, "jobId"), textOf(call.request, "name")];
  const position = numberOf(call.request, "renderPosition");
  const isWhole = Object.entries(call.request).every(
    ([field, value]) => ["jobId", "name", "renderPosition"].includes(field) || Number(value) === 0,
  );
  const render = facts.rendersOf(jobId).find((one) => one.position === position);
  if (!isWhole || render === undefined) return [];
  const users = facts.tasksOf(render.id).filter(({ artifacts: handed }) => handed.includes(name));
  const rightly = users.flatMap(({ task_id }) => facts.outputsOf(task_id)).filter((output) => output.name === name);
  if (rightly.length === 0 || rightly.some(({ sha256 }) => sha256 === call.bytesSha256)) return [];
  return [{ where: jobName(jobId), what: `the ${name} that a client downloaded is not its result`, evidence: [call, ...rightly] }];
}
