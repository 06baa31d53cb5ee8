/**
 * Reading VBench's `<name>_eval_results.json` of any of its versions and of VBench-I2V (spec vbench §2.1).
 *
 * Nothing is thrown: what cannot be used is a fault with its JSON path, what is used without being understood a remark. Values stay on the file's
 * scale (imaging_quality's videos 0..100), booleans become 0 and 1. Keep the file's text: this is a reading of it.
 */
import { isMetricName } from "./metric.ts";
import { isJsonList, isJsonObject, type JsonObject, type JsonValue, readPythonJson } from "./python-json.ts";

/** A place in the file, as `$.dimension[1][0].video_results`, and what is there. */
export type JsonRemark = { readonly path: string; readonly reason: string };

/** A number, or the word that stood in its place. */
export type ImportedNumber = number | "NaN" | "Infinity" | "-Infinity";

export type ImportedVideo = {
  readonly videoPath: string;
  /** File name without folders: what videos are joined by. */
  readonly name: string;
  readonly value: ImportedNumber;
  /** The entry's other keys. */
  readonly extra: JsonObject;
};

export type ImportedDimension = {
  readonly dimension: string;
  readonly setScore: ImportedNumber;
  /** camera_motion's scores by kind of motion. */
  readonly groups?: Readonly<Record<string, ImportedNumber>>;
  readonly videos: readonly ImportedVideo[];
};

export type ImportedResults = {
  readonly dimensions: readonly ImportedDimension[];
  readonly remarks: readonly JsonRemark[];
  readonly faults: readonly JsonRemark[];
};

type Notes = { readonly remarks: JsonRemark[]; readonly faults: JsonRemark[] };

/** Everything of the file that can be used. */
export function readEvalResults(text: string): ImportedResults {
  const notes: Notes = { remarks: [], faults: [] };
  const reading = readPythonJson(text);
  if (!reading.isRead) return { dimensions: [], remarks: [], faults: [{ path: "$", reason: `no JSON: ${reading.reason}` }] };
  if (!isJsonObject(reading.value)) return { dimensions: [], remarks: [], faults: [{ path: "$", reason: "no object of dimensions" }] };
  const dimensions = Object.entries(reading.value).flatMap(([name, value]) => readDimension(name, value, notes));
  return { dimensions, ...notes };
}

function readDimension(dimension: string, value: JsonValue, notes: Notes): readonly ImportedDimension[] {
  const path = childPath("$", dimension);
  if (!isJsonList(value) || value.length < 2 || value.length > 3) {
    notes.faults.push({ path, reason: "no list of a set score and videos" });
    return [];
  }
  const setScore = readNumber(value[0]);
  const videosAt = value.length - 1;
  const videos = value[videosAt];
  if (setScore === undefined) notes.faults.push({ path: `${path}[0]`, reason: "the set score is no number" });
  if (!isJsonList(videos)) notes.faults.push({ path: `${path}[${videosAt}]`, reason: "no list of videos" });
  if (setScore === undefined || !isJsonList(videos)) return [];
  if (!isMetricName(dimension)) notes.remarks.push({ path, reason: "no dimension that the farm computes; kept as it is" });
  const read = videos.flatMap((video, index) => readVideo(video, `${path}[${videosAt}][${index}]`, notes));
  noteOldSums(dimension, read, notes);
  return [{ dimension, setScore, ...(value.length === 3 ? readGroups(value[1], `${path}[1]`, notes) : {}), videos: read }];
}

function readGroups(
  value: JsonValue | undefined,
  path: string,
  notes: Notes,
): { readonly groups?: Readonly<Record<string, ImportedNumber>> } {
  if (!isJsonObject(value)) {
    notes.remarks.push({ path, reason: "a third element that is no object of scores; not kept" });
    return {};
  }
  const groups: Record<string, ImportedNumber> = {};
  for (const [name, item] of Object.entries(value)) {
    const score = readNumber(item);
    if (score === undefined) notes.faults.push({ path: childPath(path, name), reason: "no number" });
    else groups[name] = score;
  }
  return { groups };
}

function readVideo(video: JsonValue, path: string, notes: Notes): readonly ImportedVideo[] {
  if (!isJsonObject(video)) {
    notes.faults.push({ path, reason: "no object of a video" });
    return [];
  }
  const { video_path: videoPath, video_results: result, ...extra } = video;
  const value = readNumber(result);
  if (typeof videoPath !== "string" || videoPath === "") notes.faults.push({ path: `${path}.video_path`, reason: "no path of a video" });
  if (value === undefined) notes.faults.push({ path: `${path}.video_results`, reason: "neither a number nor a boolean" });
  if (typeof videoPath !== "string" || videoPath === "" || value === undefined) return [];
  return [{ videoPath, name: videoPath.slice(videoPath.lastIndexOf("/") + 1), value, extra }];
}

function readNumber(value: JsonValue | undefined): ImportedNumber | undefined {
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value !== "number") return undefined;
  if (Number.isNaN(value)) return "NaN";
  if (Number.isFinite(value)) return value;
  return value > 0 ? "Infinity" : "-Infinity";
}

/** VBench 0.1.1 and 0.1.2 stored a video's sum here, where all later ones store its mean. */
function noteOldSums(dimension: string, videos: readonly ImportedVideo[], notes: Notes): void {
  const isSum = dimension === "subject_consistency" && videos.some(({ value }) => typeof value === "number" && value > 1.001);
  if (isSum)
    notes.remarks.push({ path: childPath("$", dimension), reason: "values above 1: sums over frames, as VBench 0.1.1 and 0.1.2 wrote" });
}

/** `path.key`, or `path["key"]` where the key is no word. */
export function childPath(path: string, key: string): string {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`;
}

/** Dimensions that were asked for and are not in the file. */
export function missingDimensions(results: ImportedResults, asked: readonly string[]): readonly string[] {
  const present = new Set(results.dimensions.map(({ dimension }) => dimension));
  return asked.filter((dimension) => !present.has(dimension));
}
