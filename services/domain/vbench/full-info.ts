/**
 * VBench's `<name>_full_info.json`: which videos are scored in which dimensions (vbench/__init__.py build_full_info_json; spec vbench §2.2).
 */
import { childPath, type JsonRemark } from "./eval-results-reader.ts";
import { isJsonList, isJsonObject, type JsonObject, type JsonValue, pythonJson, type PythonValue, readPythonJson } from "./python-json.ts";

export type FullInfoEntry = {
  readonly prompt: string;
  readonly dimensions: readonly string[];
  readonly videos: readonly string[];
  /** VBench-I2V: the reference image. */
  readonly imagePath?: string;
};

export type ImportedFullInfo = {
  readonly entries: readonly (FullInfoEntry & {
    /** The entry's other keys, as auxiliary_info, image_name, image_type. */
    readonly extra: JsonObject;
  })[];
  readonly faults: readonly JsonRemark[];
};

/** The text of the file. */
export function writeFullInfo(entries: readonly FullInfoEntry[]): string {
  return pythonJson(entries.map(entryValue));
}

function entryValue({ prompt, dimensions, videos, imagePath }: FullInfoEntry): PythonValue {
  const image = imagePath === undefined ? {} : { custom_image_path: imagePath };
  return { prompt_en: prompt, dimension: dimensions, video_list: videos, ...image };
}

/** Every entry of the file that can be used; the rest are faults with their JSON paths. */
export function readFullInfo(text: string): ImportedFullInfo {
  const reading = readPythonJson(text);
  if (!reading.isRead) return { entries: [], faults: [{ path: "$", reason: `no JSON: ${reading.reason}` }] };
  if (!isJsonList(reading.value)) return { entries: [], faults: [{ path: "$", reason: "no list of prompts" }] };
  const faults: JsonRemark[] = [];
  const entries = reading.value.flatMap((value, index) => readEntry(value, `$[${index}]`, faults));
  return { entries, faults };
}

function readEntry(value: JsonValue, path: string, faults: JsonRemark[]): ImportedFullInfo["entries"] {
  if (!isJsonObject(value)) {
    faults.push({ path, reason: "no object of a prompt" });
    return [];
  }
  const { prompt_en: prompt, dimension, video_list: videos = [], custom_image_path: imagePath, ...extra } = value;
  if (typeof prompt !== "string") faults.push({ path: childPath(path, "prompt_en"), reason: "no text" });
  if (!isTexts(dimension)) faults.push({ path: childPath(path, "dimension"), reason: "no list of texts" });
  if (!isTexts(videos)) faults.push({ path: childPath(path, "video_list"), reason: "no list of texts" });
  if (typeof prompt !== "string" || !isTexts(dimension) || !isTexts(videos)) return [];
  return [{ prompt, dimensions: dimension, videos, ...(typeof imagePath === "string" ? { imagePath } : {}), extra }];
}

function isTexts(value: JsonValue | undefined): value is readonly string[] {
  return isJsonList(value) && value.every((item) => typeof item === "string");
}
