/**
 * Wan's cleaning of prompts (diffusers' prompt_clean in pipeline_wan_i2v.py): ftfy, HTML references twice, white space.
 */
import { fixText } from "./ftfy/fix-text.ts";
import { unescapeHtml } from "./html/unescape.ts";
import { joinSpaces, strip } from "./white-space.ts";

/** The text that Wan's tokenizer is given. */
export function cleanWanPrompt(prompt: string): string {
  const unescaped = unescapeHtml(unescapeHtml(fixText(prompt)));
  return strip(joinSpaces(strip(unescaped)));
}
