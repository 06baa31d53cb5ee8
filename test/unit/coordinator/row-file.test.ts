import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openRowFile } from "../../../services/coordinator/rpc/row-file.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-rows-"));
});
afterAll(() => rm(folder, { recursive: true }));

const separators = fc.constantFrom("\n", "\r", "\u2028", "\u2029", "\u0085", "\u000b", '"', "\\");
const texts = fc.array(fc.string({ unit: fc.oneof(fc.string({ unit: "binary", minLength: 1, maxLength: 1 }), separators) }), {
  minLength: 1,
  maxLength: 20,
});

it("rows come back as they were, whatever ends a line in their texts", async () => {
  let number = 0;
  await fc.assert(
    fc.asyncProperty(texts, async (rows) => {
      number += 1;
      const file = await openRowFile<string>(join(folder, `rows-${number}`));
      await file.add(rows);
      await file.seal();
      const read: string[] = [];
      for await (const part of file.parts()) read.push(...part);
      await file.remove();
      expect(read).toEqual(rows);
    }),
    { examples: [[["a\u2028b", "c\u2029d"]]] },
  );
});
