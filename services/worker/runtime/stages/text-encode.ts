/**
 * text_encode: prompt → T5 embeddings. Output "embeds": prompt_embeds float32 [1,L,D] and input_ids int64 [1,L].
 */
import { requireFloat32 } from "../../../domain/tensors/tensor.ts";
import type { StageOutputFile, TextEncodeWork } from "../stage-run.ts";
import type { StageContext } from "./stage-context.ts";

/** Tokenizes and encodes without an attention mask: padding is attended and kept (spec §1.1.4). */
export async function textEncode(context: StageContext, { prompt }: TextEncodeWork): Promise<readonly StageOutputFile[]> {
  const tokenizer = await context.tokenizer();
  const { ids, tokens, isTruncated } = tokenizer.encode(prompt);
  if (isTruncated) {
    const limit = ids.data.length;
    context.warn({ code: "PROMPT_TRUNCATED", message: `the prompt has ${tokens} tokens, the model reads ${limit}: the rest was cut` });
  }
  const engine = await context.engine("text_encode");
  context.progress({ phase: "encode", step: 0, steps: 1, stepMs: 0 });
  await context.checkpoint();
  const outputs = await engine.run({ input_ids: ids });
  context.progress({ phase: "encode", step: 1, steps: 1, stepMs: 0 });
  const embeds = requireFloat32("prompt_embeds", outputs["prompt_embeds"]);
  return [await context.writeTensors("embeds", { prompt_embeds: embeds, input_ids: ids })];
}
