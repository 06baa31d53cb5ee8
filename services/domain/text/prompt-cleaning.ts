/**
 * What is done to a prompt before it is tokenized, by the name that farm.json gives it.
 */
import { cleanWanPrompt } from "./wan-prompt.ts";

/** Each makes one text of another. */
export const promptCleanings = {
  /** As it was typed: CogVideoX. */
  none: (prompt: string): string => prompt,
  /** `prompt_clean` of the reference's Wan pipeline. */
  wan: cleanWanPrompt,
} as const;

export type PromptCleaning = keyof typeof promptCleanings;

export const promptCleaningNames = Object.keys(promptCleanings) as readonly PromptCleaning[];
