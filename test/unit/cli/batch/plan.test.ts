import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type BatchPlan, planBatch } from "../../../../services/cli/batch/plan.ts";

const whole = "{ model: demo, image: a.png, prompt: p, references: [{ media: c.mp4, prompt: q }] }";

const plus = (fields: string): string => whole.replace(/ }$/, `, ${fields} }`);

/** Nine levels of nine aliases each. */
const bomb = Array.from({ length: 9 }, (_, level) => {
  const item = level === 0 ? "x" : `*level${level - 1}`;
  return `level${level}: &level${level} [${Array.from({ length: 9 }, () => item).join(", ")}]`;
}).join("\n");

function sound(text: string): BatchPlan {
  const reading = planBatch(text, "/work");
  if (reading.kind === "faulty") throw new TypeError(JSON.stringify(reading.faults));
  return reading.plan;
}

function faults(text: string): readonly string[] {
  const reading = planBatch(text, "/work");
  if (reading.kind === "sound") return [];
  return reading.faults.map(({ line, column, field, reason, expected }) => `${line}:${column} ${field} ${reason} | ${expected}`);
}

describe("a batch file", () => {
  it("puts the defaults below each render, and resolves paths against the file", () => {
    const { renders, job } = sound(`
priority: 5
job-class: benchmark
defaults:
  model: demo
  image: https://example.org/a.png
  references: [{ media: clips/c.mp4, prompt: q }]
  steps: 4
renders:
  - prompt: one
  - { prompt: two, image: /abs/b.png, steps: 8, negativePrompt: bad, frames-selection: first }
`);
    expect(job).toEqual({ priority: 5, job_class: "benchmark" });
    expect(renders.map(({ entry }) => [entry.prompt, entry.steps, entry.negative_prompt, entry.frame_selection])).toEqual([
      ["one", 4, undefined, undefined],
      ["two", 8, "bad", "first"],
    ]);
    expect(renders.map(({ image }) => image.media)).toEqual([
      { kind: "address", uri: "https://example.org/a.png" },
      { kind: "file", path: "/abs/b.png" },
    ]);
    expect(renders[0]?.references[0]).toMatchObject({
      media: { kind: "file", path: "/work/clips/c.mp4" },
      field: "defaults.references[0].media",
      place: { line: 7, column: 25 },
    });
  });

  it.each([
    ["seeds", "seeds: [1, 9223372036854775807]", [1n, 9223372036854775807n]],
    ["repeat without a seed", "repeat: 3", [undefined, undefined, undefined]],
    ["repeat from a seed on", "seed: 7, repeat: 2", [7n, 8n]],
    ["a seed that ends its range", "seed: 9223372036854775807, repeat: 2", [9223372036854775807n, 0n]],
  ])("multiplies a render by %s", (_what, fields, seeds) => {
    const { renders } = sound(`renders: [${plus(fields)}]`);
    expect(renders.map(({ seed }) => seed)).toEqual(seeds);
    expect(renders.map(({ folder }) => folder)).toEqual(seeds.map((_, index) => String(index)));
  });

  it("lets a render's own seed replace what the defaults multiply", () => {
    const { renders } = sound(`{ defaults: { seeds: [1, 2] }, renders: [${whole}, ${plus("seed: 9")}] }`);
    expect(renders.map(({ seed }) => seed)).toEqual([1n, 2n, 9n]);
  });

  it("names folders by name, with a number where one name has several, and never two alike", () => {
    const named = (name: string, more = ""): string => whole.replace("{", `{ name: ${name}, ${more}`);
    const { renders } = sound(`renders: [${named("pot", "repeat: 2,")}, ${named("pot-1")}, ${named('"3"')}, ${whole}]`);
    const folders = renders.map(({ folder }) => folder);
    expect(folders).toEqual(["pot-0", "pot-1", "pot-1.2", "3", "4"]);
    expect(new Set(folders).size).toBe(folders.length);
  });

  it.each([
    ["YAML", `renders:\n  - ${whole}`],
    ["a list", `- ${whole}`],
    ["JSON", '{"renders":[{"model":"demo","image":"a.png","prompt":"p","references":[{"media":"c.mp4","prompt":"q"}]}]}'],
    ["a JSON object on a line", '{"model":"demo","image":"a.png","prompt":"p","references":[{"media":"c.mp4","prompt":"q"}]}\n'],
  ])("is read as %s", (_what, text) => {
    const { renders } = sound(text);
    expect(renders).toHaveLength(1);
    expect(renders[0]).toMatchObject({ folder: "0", entry: { model: "demo", prompt: "p" } });
  });

  it("tells every fault at once, with line, column and what is expected", () => {
    const text = [
      "defaults:",
      "  model: demo",
      "  sede: 4",
      "renders:",
      "  - image: a.png",
      "    prompt: p",
      "    steps: many",
      "    references: [{ media: c.mp4, prompt: q }, { prompt: q }]",
      "  - image: a.png",
      "    scheduler: heun",
      "    seed: -1",
    ].join("\n");
    expect(faults(text)).toEqual([
      expect.stringMatching(/^3:3 defaults\.sede there is no field "sede" \| one of model, /),
      '7:12 renders[0].steps is "many" | a whole number from 1 to 1000',
      "8:47 renders[0].references[1].media is missing | text; put it between quotes",
      '10:16 renders[1].scheduler is "heun" | one of ddim, dpm, unipc, euler',
      "11:11 renders[1].seed is -1 | a whole number from 0 to 2^63-1",
    ]);
  });

  it("tells what each render lacks, and names that stand twice", () => {
    const text = `renders:\n  - { name: x, model: demo }\n  - ${whole.replace("{", "{ name: x,")}\n`;
    expect(faults(text)).toEqual([
      "2:5 renders[0].image is missing | an image's path or address, here or in `defaults`",
      "2:5 renders[0].prompt is missing | what the video shows, here or in `defaults`",
      "2:5 renders[0].references is missing | at least one reference, here or in `defaults`",
      '3:13 renders[1].name "x" is renders[0]\'s name too | a name of its own',
    ]);
  });

  it("counts the lines of a file of JSON lines", () => {
    const good = '{"model":"demo","image":"a.png","prompt":"p","references":[{"media":"c.mp4"}]}';
    expect(faults(`${good}\n\n{"model":"demo","image":"a.png","prompt":4,"references":[{"media":"c.mp4"}]}\n`)).toEqual([
      "3:42 renders[1].prompt is 4 | text; put it between quotes",
    ]);
  });

  it.each([
    ["nothing", ""],
    ["a word", "hello"],
    ["no renders", "renders: []"],
    ["broken YAML", "renders: [\n  - {"],
    ["too many", `renders: [${plus("repeat: 100000")}, ${whole}]`],
    ["seed beside seeds", `renders: [${plus("seed: 1, seeds: [2]")}]`],
    ["aliases that explode", bomb],
  ])("is refused when it is %s", (_what, text) => {
    expect(faults(text)).not.toEqual([]);
  });

  it("never throws, and every fault lies inside the file", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json().map((json) => `renders: ${json}`),
          fc.json(),
        ),
        (text) => {
          const reading = planBatch(text, "/work");
          if (reading.kind === "sound") return;
          const lines = text.split("\n").length;
          for (const { line, column } of reading.faults) {
            expect(line).toBeGreaterThanOrEqual(1);
            expect(line).toBeLessThanOrEqual(lines);
            expect(column).toBeGreaterThanOrEqual(1);
          }
          expect(reading.faults.length).toBeGreaterThan(0);
        },
      ),
      { numRuns: 300 },
    );
  });

  it("quotes no more of a broken file than a line can show", () => {
    for (const text of [`renders: "${"x".repeat(5_000)}`, `{${"\u0001".repeat(3_000)}`, `renders: ${"[".repeat(20_000)}`]) {
      const found = faults(text);
      expect(found.length).toBeGreaterThan(0);
      expect(Math.max(...found.map((fault) => fault.length))).toBeLessThan(400);
      expect(found.join()).not.toMatch(/call stack|stack overflow/i);
    }
  });
});
