/**
 * What VBench makes of a file's name (vbench/utils.py get_prompt_from_filename, load_video; spec vbench §2.3), and its names of result files.
 */
import { DECIMAL_DIGIT } from "../text/unicode.ts";

const number = new RegExp(`-${DECIMAL_DIGIT}+(?=\\n?$)`, "u");

/** The prompt of a video in custom mode: its name without folders, extension and a number at its end, `a cat-3.mp4` → `a cat`. */
export function promptOfVideo(path: string): string {
  return stemOf(path).replace(number, "");
}

/** Python's Path.stem: the last extension is off; a name that begins with its only dot has none. */
function stemOf(path: string): string {
  const name = path.replace(/\/+$/, "").split("/").at(-1) ?? "";
  const dot = name.lastIndexOf(".");
  return dot > 0 && dot < name.length - 1 ? name.slice(0, dot) : name;
}

export type VideoFormat =
  | { readonly isLoaded: true; readonly format: "mp4" | "gif" | "png" }
  /** VBench lists the file without regard to case, but cannot load it. */
  | { readonly isLoaded: false; readonly reason: string };

/** How VBench loads a file, by the end of its name and with regard to case. */
export function videoFormat(path: string): VideoFormat {
  for (const format of ["mp4", "gif", "png"] as const) {
    if (path.endsWith(`.${format}`)) return { isLoaded: true, format };
  }
  const isListed = /\.(?:mp4|gif)$/i.test(path);
  return {
    isLoaded: false,
    reason: isListed ? "VBench lists this name but loads lower-case extensions only" : "VBench loads .mp4, .gif and .png only",
  };
}

/** The name that VBench's standard suite gives sample 0..4 of a prompt. */
export function standardVideoName(prompt: string, index: number, { suffix = "", extension = ".mp4" } = {}): string {
  return `${prompt}${suffix}-${index}${extension}`;
}

export type ResultFile = { readonly name: string; readonly kind: "eval_results" | "full_info" };

/** Which file of a run a path names, whatever its own name has: VBench's has colons. */
export function resultFile(path: string): ResultFile | undefined {
  const file = path.slice(path.lastIndexOf("/") + 1);
  for (const kind of ["eval_results", "full_info"] as const) {
    const end = `_${kind}.json`;
    if (file.endsWith(end)) return { name: file.slice(0, -end.length), kind };
  }
  return undefined;
}
