import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { missingDimensions, readEvalResults } from "../../../services/domain/vbench/eval-results-reader.ts";
import { evalVideo, writeEvalResults } from "../../../services/domain/vbench/eval-results.ts";
import { readFullInfo, writeFullInfo } from "../../../services/domain/vbench/full-info.ts";
import { absent } from "../../../services/domain/vbench/metric.ts";
import { pythonFloat, pythonJson, readPythonJson } from "../../../services/domain/vbench/python-json.ts";
import { promptOfVideo, resultFile, standardVideoName, videoFormat } from "../../../services/domain/vbench/video-name.ts";
import { vbenchFixtures } from "../../support/vbench/stubs.ts";

const fixture = (name: string): string => readFileSync(new URL(name, vbenchFixtures), "utf8");

function elapsedMs(work: () => void): number {
  const sinceMs = performance.now();
  work();
  return performance.now() - sinceMs;
}

describe("Python's JSON", () => {
  test("has floats by their repr, of which Python wrote these", () => {
    const reprs = JSON.parse(fixture("float-repr.json")) as readonly string[];
    expect(reprs.map((repr) => pythonFloat(Number(repr)))).toEqual(reprs);
  });

  test("has floats that read back as the same number, with a point or an exponent of two digits at least", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const repr = pythonFloat(value);
        expect(Object.is(Number(repr), value)).toBe(true);
        expect(repr).toMatch(/^-?\d+(?:\.\d+|(?:\.\d+)?e[-+]\d{2,})$/);
        const magnitude = Math.abs(value);
        expect(repr.includes("e")).toBe(value !== 0 && (magnitude < 1e-4 || magnitude >= 1e16));
      }),
    );
  });

  test("is byte for byte what json.dump writes: escapes, empty groups, words for no numbers", () => {
    const value = {
      a: [
        0.5,
        [
          {
            video_path: 'dir/ä "q" \n 😀\u2028\u007f.mp4',
            video_results: true,
            n: 35n,
            x: 1,
            e: [],
            o: {},
            none: null,
            nan: NaN,
            inf: Infinity,
            ninf: -Infinity,
            tiny: 1e-5,
            big: 1e16,
          },
        ],
      ],
      "": {},
      ké: -0,
    };
    expect(pythonJson(value)).toBe(fixture("python-json.txt"));
  });

  test("is read back, words for no numbers outside of text only", () => {
    expect(readPythonJson('\ufeff{"NaN": [NaN, -Infinity, Infinity, "NaN, Infinity", "\\"NaN", 1e5]}')).toEqual({
      isRead: true,
      value: { NaN: [NaN, -Infinity, Infinity, "NaN, Infinity", '"NaN', 100000] },
    });
    expect(readPythonJson('["not a number NaN", NaN]')).toEqual({ isRead: true, value: ["not a number NaN", NaN] });
    const written = '["not a number 0:NaN", "\\u006eot a number 1:NaN", "~~~\\\\", {"NaN": -Infinity}, NaN]';
    expect(readPythonJson(written)).toEqual({
      isRead: true,
      value: ["not a number 0:NaN", "not a number 1:NaN", "~~~\\", { NaN: -Infinity }, NaN],
    });
    expect(readPythonJson("[1,")).toMatchObject({ isRead: false });
    expect(readPythonJson("[Nan]")).toMatchObject({ isRead: false });
    expect(readPythonJson("[NaNs]")).toMatchObject({ isRead: false });
  });

  test.each([
    ["an unclosed string of escaped quotes", (size: number) => `["${'\\"'.repeat(size / 2)}`],
    ["a text of what might be a mark", (size: number) => `["not a number ${"~".repeat(size)}", NaN]`],
    ["many marks and many words", (size: number) => `["${"not a number 7:".repeat(size / 30)}"${", NaN".repeat(size / 10)}]`],
  ])("is read in time that is linear in %s", (_title, shape) => {
    const fastestMs = (text: string): number => Math.min(...[1, 2, 3, 4, 5].map(() => elapsedMs(() => readPythonJson(text))));
    // Sixteen times the size: linear is near 16, quadratic 256; quadratic at 2 MiB is beyond any time limit as well.
    expect(fastestMs(shape(2 ** 21)) / fastestMs(shape(2 ** 17))).toBeLessThan(64);
  });

  test("comes back from a round trip, whatever the text", () => {
    const leaf = fc.oneof(fc.string({ unit: "binary" }), fc.double(), fc.boolean(), fc.constant(null));
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { depthSize: "small" },
        leaf,
        fc.array(tie("tree")),
        fc.dictionary(
          fc.string().map((key) => `k${key}`),
          tie("tree"),
        ),
      ),
    }));
    fc.assert(
      fc.property(tree, (value) => {
        const reading = readPythonJson(pythonJson(value as Parameters<typeof pythonJson>[0]));
        expect(reading.isRead && pythonJson(reading.value)).toBe(pythonJson(value as Parameters<typeof pythonJson>[0]));
      }),
    );
  });
});

describe("the results file", () => {
  test("is written as VBench writes it", () => {
    const text = writeEvalResults([
      { dimension: "dynamic_degree", setScore: 1, videos: [{ videoPath: "dir/a.mp4", result: true }] },
      {
        dimension: "background_consistency",
        setScore: 0.95,
        videos: [{ videoPath: "dir/a.mp4", result: 0.95, extra: { video_sim: 33.5, cnt_per_video: 35n } }],
      },
      { dimension: "i2v_subject", setScore: NaN, videos: [{ imagePath: "a.png", videoPath: "é.mp4", result: NaN }] },
    ]);
    expect(text).toBe(fixture("eval-results-written.json"));
  });

  const details = { series: {}, extra: { video_sim: 2.5, cnt_per_video: 3, other: 1 } };

  test("has each outcome as VBench would have put it", () => {
    const ok = { status: "ok" as const, value: 1, ...details };
    expect(evalVideo("dynamic_degree", "a.mp4", ok)).toEqual({ videoPath: "a.mp4", result: true });
    expect(evalVideo("background_consistency", "a.mp4", ok)).toEqual({
      videoPath: "a.mp4",
      result: 1,
      extra: { video_sim: 2.5, cnt_per_video: 3n },
    });
    expect(evalVideo("subject_consistency", "a.mp4", ok)).toEqual({ videoPath: "a.mp4", result: 1 });
    expect(evalVideo("dynamic_degree", "a.mp4", absent("nan", "", { vbenchValue: 0 }))).toEqual({ videoPath: "a.mp4", result: false });
    expect(evalVideo("temporal_flickering", "a.mp4", absent("nan", ""))).toEqual({ videoPath: "a.mp4", result: NaN });
    expect(evalVideo("motion_smoothness", "a.mp4", absent("skipped", ""))).toBeUndefined();
  });

  test("is read with three elements, words for no numbers, booleans, missing dimensions and other keys", () => {
    const results = readEvalResults(fixture("eval-results-odd.json"));
    expect(results.faults).toEqual([]);
    expect(results.dimensions.map(({ dimension, setScore }) => [dimension, setScore])).toEqual([
      ["camera_motion", 0.8],
      ["dynamic_degree", 0.5],
      ["temporal_flickering", "NaN"],
      ["subject_consistency", 10.5],
      ["imaging_quality", 0.4769],
    ]);
    const [camera, dynamic, flicker, subject] = results.dimensions;
    expect(camera?.groups).toEqual({ pan_left: 1, pan_right: "NaN", static: 0 });
    expect(camera?.videos[0]?.extra).toEqual({ prompt_type: "pan_left", predict_type: ["pan_left"] });
    expect(dynamic?.videos.map(({ name, value }) => [name, value])).toEqual([
      ["results_2024-01-01-12:00:00-NaN.mp4", 1],
      ["b.mp4", 0],
    ]);
    expect(flicker?.videos[0]?.value).toBe("NaN");
    expect(subject?.videos[0]?.value).toBe(10.98);
    expect(results.remarks).toEqual([
      { path: "$.camera_motion", reason: expect.stringContaining("kept") as string },
      { path: "$.subject_consistency", reason: expect.stringContaining("0.1.1") as string },
    ]);
    expect(missingDimensions(results, ["dynamic_degree", "motion_smoothness"])).toEqual(["motion_smoothness"]);
  });

  test("has its own writing read back", () => {
    const videos = [{ videoPath: "x/a-0.mp4", result: 0.25, extra: { video_sim: 1.5, cnt_per_video: 6n } }];
    const results = readEvalResults(writeEvalResults([{ dimension: "background_consistency", setScore: 0.25, videos }]));
    expect(results).toEqual({
      dimensions: [
        {
          dimension: "background_consistency",
          setScore: 0.25,
          videos: [{ videoPath: "x/a-0.mp4", name: "a-0.mp4", value: 0.25, extra: { video_sim: 1.5, cnt_per_video: 6 } }],
        },
      ],
      remarks: [],
      faults: [],
    });
  });

  test.each([
    ["{", "$", /no JSON/],
    ["[1]", "$", /no object/],
    ['{"a b": 3}', '$["a b"]', /no list/],
    ['{"x": [1, [], [], []]}', "$.x", /no list/],
    ['{"x": ["1", []]}', "$.x[0]", /set score/],
    ['{"x": [1, {}]}', "$.x[1]", /videos/],
    ['{"x": [1, [7]]}', "$.x[1][0]", /no object/],
    ['{"x": [1, [{"video_results": 1}]]}', "$.x[1][0].video_path", /no path/],
    ['{"x": [1, [{"video_path": "a", "video_results": "1"}]]}', "$.x[1][0].video_results", /neither/],
    ['{"x": [1, {"pan": "a"}, []]}', "$.x[1].pan", /no number/],
  ])("%s has a fault at %s", (text, path, reason) => {
    const { faults } = readEvalResults(text);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toEqual({ path, reason: expect.stringMatching(reason) as string });
  });

  test("keeps a dimension's good videos beside a broken one", () => {
    const { dimensions, faults } = readEvalResults(
      '{"clip_score": [0.2, [{"video_path": "a", "video_results": null}, {"video_path": "b", "video_results": 0.2}]]}',
    );
    expect(dimensions[0]?.videos.map(({ name }) => name)).toEqual(["b"]);
    expect(faults).toHaveLength(1);
  });
});

describe("the full info file", () => {
  test("is written and read back", () => {
    const entry = { prompt: 'a "cat"', dimensions: ["clip_score"], videos: ["v/a.mp4"], imagePath: "a.png" };
    const text = writeFullInfo([entry, { prompt: "", dimensions: [], videos: [] }]);
    expect(text).toContain('"prompt_en": "a \\"cat\\"",\n        "dimension": [\n            "clip_score"\n        ],');
    expect(readFullInfo(text)).toEqual({
      entries: [
        { ...entry, extra: {} },
        { prompt: "", dimensions: [], videos: [], extra: {} },
      ],
      faults: [],
    });
  });

  test("keeps other keys, and names what it cannot use", () => {
    const text =
      '[{"prompt_en": "a", "dimension": ["scene"], "auxiliary_info": {"scene": {"x": NaN}}}, {"prompt_en": 1, "dimension": 2}, 3]';
    const { entries, faults } = readFullInfo(text);
    expect(entries).toEqual([{ prompt: "a", dimensions: ["scene"], videos: [], extra: { auxiliary_info: { scene: { x: NaN } } } }]);
    expect(faults.map(({ path }) => path)).toEqual(["$[1].prompt_en", "$[1].dimension", "$[2]"]);
    expect(readFullInfo("{}").faults[0]?.path).toBe("$");
    expect(readFullInfo("").faults[0]?.path).toBe("$");
  });
});

describe("a file's name", () => {
  test.each([
    ["dir/a cat-3.mp4", "a cat"],
    ["my-clip-2024.mp4", "my-clip"],
    ["my-clip.v2.mp4", "my-clip.v2"],
    ["a-1-2.gif", "a-1"],
    ["-7.mp4", ""],
    ["plain", "plain"],
    [".mp4", ".mp4"],
    ["a-٣.mp4", "a"],
    ["a-1x.mp4", "a-1x"],
  ])("%s has the prompt %s", (path, prompt) => {
    expect(promptOfVideo(path)).toBe(prompt);
  });

  test("is loaded with regard to case, though it is listed without", () => {
    expect(videoFormat("a.mp4")).toEqual({ isLoaded: true, format: "mp4" });
    expect(videoFormat("a.gif")).toEqual({ isLoaded: true, format: "gif" });
    expect(videoFormat("A.MP4")).toMatchObject({ isLoaded: false, reason: expect.stringContaining("lower-case") as string });
    expect(videoFormat("a.webm")).toMatchObject({ isLoaded: false, reason: expect.stringContaining("only") as string });
  });

  test("of the standard suite has the prompt and a number", () => {
    expect(standardVideoName("a cat", 4)).toBe("a cat-4.mp4");
    expect(promptOfVideo(standardVideoName("a cat", 4, { extension: ".gif" }))).toBe("a cat");
  });

  test("of a result may have colons", () => {
    expect(resultFile("x/results_2024-01-01-12:00:00_eval_results.json")).toEqual({
      name: "results_2024-01-01-12:00:00",
      kind: "eval_results",
    });
    expect(resultFile("run_full_info.json")).toEqual({ name: "run", kind: "full_info" });
    expect(resultFile("run.json")).toBeUndefined();
  });
});
