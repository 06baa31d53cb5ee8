/**
 * What the store says of media and uploads → farm.proto.
 */
import type { Upload, UploadMediaResponse } from "../../gen/proto/vapfarm/v1/farm.ts";
import type { ResumableUpload, UploadView } from "../store/store-contract.ts";

/** What a caller is told of stored media. */
export function uploadToProto({ sha256, sizeBytes, kind, width, height, frames }: UploadView): UploadMediaResponse {
  return { sha256, sizeBytes: BigInt(sizeBytes), kind, width, height, frames };
}

/** An upload of which nothing needs to be sent: the tenant has the media. */
export function knownToProto(known: UploadView): Upload {
  const sizeBytes = BigInt(known.sizeBytes);
  return { uploadId: "", receivedBytes: sizeBytes, sizeBytes, expireTime: undefined, media: uploadToProto(known) };
}

/** A begun upload: one that is whole does not expire. */
export function resumableToProto({ uploadId, receivedBytes, sizeBytes, expiresAt, finished }: ResumableUpload): Upload {
  return {
    uploadId,
    receivedBytes: BigInt(receivedBytes),
    sizeBytes: BigInt(sizeBytes),
    expireTime: finished === undefined ? expiresAt : undefined,
    media: finished === undefined ? undefined : uploadToProto(finished),
  };
}
