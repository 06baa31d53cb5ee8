import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openJournal } from "../../../services/platform/journal.ts";
import { type Journals, openJournals } from "../../support/checker/journals.ts";
import { kept } from "../../support/checker/kept.ts";

let journals: Journals;
beforeEach(async () => {
  journals = await openJournals();
});
afterEach(() => journals.remove());

it("what was written is read, however its writer ended: a torn last line is left out", async () => {
  const lines = [
    '{"atMs":1,"kind":"opened","processId":7}',
    '{"atMs":2,"kind":"began","runId":"a","stage":"denoise","fromCheckpoint":false}',
  ];
  await writeFile(join(journals.folder, "runtime-7.jsonl"), `${lines.join("\n")}\n{"atMs":3,"kind":"en`);
  const { runs, runtimes } = await journals.read();
  expect(runtimes).toEqual([{ file: "runtime-7.jsonl", processId: 7, openedAtMs: 1 }]);
  expect(runs).toMatchObject([{ processId: 7, runId: "a", beganAtMs: 2, endedAtMs: undefined, outcome: undefined }]);
});

it("a line in the middle that is no JSON is an error that names it", async () => {
  await writeFile(join(journals.folder, "worker-1.jsonl"), '{"kind":\n{}\n');
  await expect(journals.read()).rejects.toThrow("line 1 of the journal worker-1.jsonl");
});

it("calls that were answered, refused and left open are told apart", async () => {
  const lines = [
    { atMs: 1, kind: "asked", id: "1", call: "getJob", request: { jobId: "j" } },
    { atMs: 2, kind: "asked", id: "2", call: "watchJob", request: {} },
    { atMs: 3, kind: "told", id: "1", answer: { job: {} } },
    { atMs: 4, kind: "heard", id: "2", message: { update: {} } },
    { atMs: 5, kind: "over", id: "2" },
    { atMs: 6, kind: "asked", id: "3", call: "cancelJob", request: {} },
    { atMs: 7, kind: "refused", id: "3", code: "JOB_UNKNOWN" },
    { atMs: 8, kind: "asked", id: "4", call: "submitRender", request: {} },
  ];
  await writeFile(join(journals.folder, "client-a.jsonl"), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  const { calls } = await journals.read();
  expect(calls).toMatchObject([
    { call: "getJob", askedAtMs: 1, answeredAtMs: 3, answer: { job: {} } },
    { call: "watchJob", heard: [{ atMs: 4, message: { update: {} } }], isOver: true, answer: undefined },
    { call: "cancelJob", refusedWith: "JOB_UNKNOWN" },
    { call: "submitRender", answer: undefined, refusedWith: undefined, isOver: false },
  ]);
});

it("writers of one folder never share a file, and each line says when", async () => {
  const logger = { warn: () => undefined };
  for (const name of ["worker", "runtime"]) openJournal<object>(journals.folder, name, logger).write({ kind: "opened" });
  const files = (await readdir(journals.folder)).filter((name) => !name.startsWith("tester")).toSorted();
  expect(files).toEqual([expect.stringMatching(/^runtime-\d+-\d+\.jsonl$/), expect.stringMatching(/^worker-\d+-\d+\.jsonl$/)]);
  const text = await readFile(join(journals.folder, files[0] ?? ""), "utf8");
  expect(JSON.parse(text)).toEqual({ atMs: expect.any(Number) as number, kind: "opened" });
});

it("a message is kept as JSON: bytes as their hash, wide integers as text, dates in ISO", () => {
  const message = { number: 7n, at: new Date(0), bytes: Buffer.from("a"), parts: [{ deep: 1n }], absent: undefined };
  expect(kept(message)).toEqual({
    number: "7",
    at: "1970-01-01T00:00:00.000Z",
    bytes: { sha256: "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb", sizeBytes: 1 },
    parts: [{ deep: "1" }],
    absent: undefined,
  });
});
