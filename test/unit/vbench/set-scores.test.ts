import { describe, expect, test } from "vitest";
import { finalScores, i2vFinalScores } from "../../../services/domain/vbench/final-scores.ts";
import { metricNames } from "../../../services/domain/vbench/metric.ts";
import { setScores, vbenchAggregator } from "../../../services/domain/vbench/set-scores.ts";
import { goldenDimension } from "../../support/vbench/stubs.ts";

describe("the set scores", () => {
  test("of the golden subject consistency are VBench's, frame-weighted and as a mean of videos", () => {
    const { set, video } = goldenDimension("subject_consistency");
    const videos = [
      { value: Number(video("realshort.mp4").video_results), count: 35 },
      { value: Number(video("cup.mp4").video_results), count: 216 },
    ];
    const scores = setScores("subject_consistency", videos);
    expect(scores.frame_weighted?.value).toBeCloseTo(0.969027286862947, 12);
    expect(scores.frame_weighted?.value).toBeCloseTo(set, 12);
    expect(scores.video_mean?.value).toBeCloseTo(0.9702811722737299, 12);
    expect(scores.video_mean?.n).toBe(2);
  });

  test("of the golden background consistency are made of the sums", () => {
    const { set, video } = goldenDimension("background_consistency");
    const videos = ["realshort.mp4", "cup.mp4"].map((name) => {
      const { video_results: value, video_sim: sum = NaN, cnt_per_video: count = NaN } = video(name);
      return { value: Number(value), sum, count };
    });
    expect(setScores("background_consistency", videos).frame_weighted?.value).toBe(set);
  });

  test("divide imaging quality by 100, and count booleans as 0 and 1", () => {
    const imaging = goldenDimension("imaging_quality");
    const videos = ["realshort.mp4", "cup.mp4"].map((name) => ({ value: Number(imaging.video(name).video_results) }));
    expect(setScores("imaging_quality", videos).video_mean?.value).toBeCloseTo(imaging.set, 12);
    expect(setScores("dynamic_degree", [{ value: 1 }, { value: 0 }]).video_mean).toEqual({ value: 0.5, n: 2 });
  });

  test("have no frame-weighted one unless every video has its count, and none without videos", () => {
    expect(setScores("subject_consistency", [{ value: 1, count: 3 }, { value: 0 }])).not.toHaveProperty("frame_weighted");
    expect(setScores("clip_score", [])).toEqual({});
  });

  test("are VBench's on one GPU frame-weighted for subject and background, else means of videos", () => {
    const weighted = metricNames.filter((metric) => vbenchAggregator(metric) === "frame_weighted");
    expect(weighted).toEqual(["subject_consistency", "background_consistency"]);
  });
});

const quality = [
  "subject_consistency",
  "background_consistency",
  "temporal_flickering",
  "motion_smoothness",
  "dynamic_degree",
  "aesthetic_quality",
  "imaging_quality",
];
const semantic = [
  "object_class",
  "multiple_objects",
  "human_action",
  "color",
  "spatial_relationship",
  "scene",
  "appearance_style",
  "temporal_style",
  "overall_consistency",
];
const allOf = (names: readonly string[], value: number): Record<string, number> => Object.fromEntries(names.map((name) => [name, value]));

describe("the final scores", () => {
  test("of sixteen times 0.9 are VBench's", () => {
    const scores = finalScores(allOf([...quality, ...semantic], 0.9));
    expect(scores.quality).toBeCloseTo(0.8297277200331469, 12);
    expect(scores.second).toBeCloseTo(1.5220944322304624, 12);
    expect(scores.total).toBeCloseTo(0.9682010624726101, 12);
    expect(scores).toMatchObject({ missing: [], unused: [] });
  });

  test("of mixed scores are VBench's", () => {
    const mixed = [0.9512, 0.9634, 0.9821, 0.9859, 37 / 48, 0.5771, 0.6543, 0.8, 0.6, 0.94, 0.85, 0.65, 0.5, 0.24, 0.245, 0.27];
    const scores = finalScores(Object.fromEntries([...quality, ...semantic].map((name, index) => [name, mixed[index] ?? NaN])));
    expect(scores.quality).toBeCloseTo(0.834156817321299, 12);
    expect(scores.second).toBeCloseTo(0.74478735578508, 12);
    expect(scores.total).toBeCloseTo(0.8162829250140552, 12);
  });

  test("count a missing dimension as 0, as VBench does, and name it", () => {
    const scores = finalScores({ motion_smoothness: 0.9985, aesthetic_quality: NaN, camera_motion: 1 });
    const alone = finalScores({ motion_smoothness: 0.9985 });
    expect(alone.quality).toBeCloseTo(-0.18761526569307402, 12);
    expect(alone.second).toBeCloseTo(-0.00035137034434293746, 12);
    expect(alone.total).toBeCloseTo(-0.15016248662332782, 12);
    expect(scores.total).toBe(alone.total);
    expect(scores.missing).toEqual([...quality, ...semantic].filter((name) => name !== "motion_smoothness"));
    expect(scores.unused).toEqual(["camera_motion"]);
  });

  test("of VBench-I2V leave flicker out", () => {
    const names = quality.filter((name) => name !== "temporal_flickering");
    const scores = i2vFinalScores(allOf([...names, "camera_motion", "i2v_subject", "i2v_background", "temporal_flickering"], 0.9));
    expect(scores.quality).toBeCloseTo(0.8478163807076876, 12);
    expect(scores.second).toBeCloseTo(0.8749842560967085, 12);
    expect(scores.total).toBeCloseTo(0.8614003184021981, 12);
    expect(scores).toMatchObject({ missing: [], unused: ["temporal_flickering"] });
  });
});
