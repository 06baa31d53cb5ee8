/**
 * One upload as a person sees it: how far it is on a terminal, what the farm found in it, which file a refusal is about.
 */
import type { FarmClient } from "../../client/farm-client.ts";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import type { UploadMediaResponse } from "../../gen/proto/vapfarm/v1/farm.ts";
import type { CliContext } from "../context.ts";
import { bytesText } from "../../domain/bytes-text.ts";

/** Which file goes where. */
export type OneUpload = { readonly path: string; readonly client: FarmClient; readonly asJson: boolean };

/** Uploads the file; says what it is unless in JSON mode. */
export async function uploadFile({ output, interrupts }: CliContext, { path, client, asJson }: OneUpload): Promise<UploadMediaResponse> {
  let shown = -1;
  const onProgress = (sent: number, total: number): void => {
    const percent = total === 0 ? 100 : Math.floor((sent * 100) / total);
    if (asJson || !output.isTty || percent === shown) return;
    shown = percent;
    output.errorStream.write(`\rupload ${path} ${percent}% of ${bytesText(total)}`);
  };
  const onOutage = (): void => {
    if (!asJson) output.note("the farm does not answer; the upload goes on when it does");
  };
  const answer = await client
    .upload(path, { signal: interrupts.signal, onProgress, onOutage })
    .catch((thrown: unknown) => Promise.reject(nameFile(thrown, path)))
    .finally(() => {
      if (shown >= 0) output.errorStream.write("\r\u001b[K");
    });
  const frames = answer.kind === "video" ? `, ${answer.frames} frames` : "";
  if (!asJson)
    output.note(`uploaded ${path}: ${answer.kind} ${answer.width}x${answer.height}${frames}, ${bytesText(Number(answer.sizeBytes))}`);
  return answer;
}

/** A refusal of the media says which file it was. */
function nameFile(thrown: unknown, path: string): FarmError {
  const error = toFarmError(thrown);
  if (!error.code.startsWith("MEDIA_")) return error;
  return new FarmError(error.code, { message: `${path}: ${error.message}`, details: error.details, cause: error });
}
