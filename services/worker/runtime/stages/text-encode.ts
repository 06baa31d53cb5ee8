/**
 * text_encode: prompt → embeddings. Output "embeds": prompt_embeds float32 [1,L,D], input_ids and attention_mask int64 [1,L].
 */
import type { TextEncodeWork } from "../stage-run.ts";
import { runEngineOnce } from "./run-engine-once.ts";
import type { StageContext } from "./stage-context.ts";
import { type StageMade, tensorsMade } from "./stage-made.ts";

/** Enough to tell the prompts of a render apart. */
const shownCharacters = 40;

/**
 * Tokenizes and encodes. T5 (CogVideoX) takes no mask: padding is attended to and kept (spec §1.1.4). UMT5 (Wan) does, and its rows past
 * the mask are zero (§1.2.3): an engine is fed what it declares.
 */
export async function textEncode(context: StageContext, { prompt }: TextEncodeWork): Promise<readonly StageMade[]> {
  const tokenizer = await context.tokenizer();
  const { ids, mask, tokens, isTruncated } = tokenizer.encode(prompt);
  if (isTruncated) {
    const limit = ids.data.length;
    const which = prompt.length > shownCharacters ? `${prompt.slice(0, shownCharacters)}…` : prompt;
    const message = `the prompt ${JSON.stringify(which)} has ${tokens} tokens, the model reads ${limit}: the rest was cut`;
    context.warn({ code: "PROMPT_TRUNCATED", message });
  }
  const { name, tensor } = await runEngineOnce(context, "text_encode", () => ({ input_ids: ids, attention_mask: mask }));
  return [tensorsMade("embeds", { [name]: tensor, input_ids: ids, attention_mask: mask })];
}
