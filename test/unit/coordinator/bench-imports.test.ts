import { expect, test } from "vitest";
import { createImportResults, createImportVotes } from "../../../services/coordinator/rpc/bench-imports.ts";
import type { Call } from "../../../services/coordinator/rpc/method.ts";

const call: Call = { caller: { tenant: "one", role: "member" }, signal: new AbortController().signal };
const refusal = { code: "FIELD_INVALID", details: { fields: [{ field: "name", remedy: "replace one: import under its name" }] } };

test("a results file under a name too many is refused, and says that one may be replaced", async () => {
  const importResults = createImportResults({ importResults: () => Promise.resolve(undefined) });
  await expect(importResults({ name: "new", text: '{"color": [1, []]}' }, call)).rejects.toMatchObject(refusal);
});

test("votes under a name too many are refused, and say that one may be replaced", async () => {
  const importVotes = createImportVotes({ importVotes: () => Promise.resolve("full") });
  const votes = [{ voter: "v", trial: "t", question: "quality", methods: ["a", "b"], choice: "a" }];
  await expect(importVotes({ name: "new", votes }, call)).rejects.toMatchObject(refusal);
});

test("of a file's dimensions the first hundred are kept", async () => {
  const counts: number[] = [];
  const importResults = createImportResults({
    importResults: (_tenant, { summary, ...results }) => {
      counts.push(summary.dimensions.length);
      return Promise.resolve({ ...results, summary, importedAt: new Date(0) });
    },
  });
  const text = JSON.stringify(Object.fromEntries(Array.from({ length: 101 }, (_, index) => [`d${index}`, [1, []]])));
  await importResults({ name: "many", text }, call);
  expect(counts).toEqual([100]);
});
