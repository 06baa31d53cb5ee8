/**
 * BeginUpload and GetUpload: uploads that can be resumed, by their id. The bytes come through UploadMedia.
 */
import { FarmError } from "../../domain/errors.ts";
import { maxNameCharacters, numberRule, refuseAny, sha256Rule, textRule, violation, type Violations } from "../../domain/field-rules.ts";
import { isUploadId } from "../../domain/ids.ts";
import type { BeginUploadRequest, BeginUploadResponse, GetUploadRequest, GetUploadResponse } from "../../gen/proto/vapfarm/v1/farm.ts";
import type { MediaStore, ResumableUpload, UploadView } from "../store/store-contract.ts";
import type { Call } from "./method.ts";
import { knownToProto, resumableToProto } from "./upload-mapping.ts";

/** What BeginUpload works with. */
export type BeginDependencies = {
  readonly store: Pick<MediaStore, "findUploads" | "beginUpload">;
  readonly newUploadId: () => string;
  readonly maxBytes: number;
  /** From the last part on. */
  readonly lifetimeMs: number;
};

/** The handler of BeginUpload. */
export function createBeginUpload({ store, newUploadId, maxBytes, lifetimeMs }: BeginDependencies) {
  return async (request: BeginUploadRequest, { caller: { tenant } }: Call): Promise<BeginUploadResponse> => {
    const { fileName, sha256 } = request;
    refuseAny(violationsOf(request, maxBytes));
    const sizeBytes = Number(request.sizeBytes);
    const [known] = sha256 === undefined ? [] : await store.findUploads(tenant, [sha256]);
    if (known !== undefined) {
      requireSize(known, sizeBytes);
      return { upload: knownToProto(known) };
    }
    return {
      upload: resumableToProto(await store.beginUpload({ uploadId: newUploadId(), tenant, fileName, sizeBytes, sha256, lifetimeMs })),
    };
  };
}

function violationsOf({ fileName, sizeBytes, sha256 }: BeginUploadRequest, maxBytes: number): Violations {
  return [...textRule("file_name", fileName, maxNameCharacters), ...sizeRule(sizeBytes, maxBytes), ...sha256Rule("sha256", sha256)];
}

/** The same codes as for bytes that come unannounced. */
function sizeRule(sizeBytes: bigint, maxBytes: number): Violations {
  const [wrong] = numberRule("size_bytes", { value: sizeBytes, min: 1, max: maxBytes });
  if (wrong === undefined) return [];
  if (sizeBytes === 0n) return [{ ...wrong, code: "MEDIA_EMPTY" }];
  return [sizeBytes > 0n ? { ...wrong, code: "MEDIA_TOO_LARGE" } : wrong];
}

function requireSize(known: UploadView, sizeBytes: number): void {
  if (known.sizeBytes === sizeBytes) return;
  const reason = `the media of this sha256 has ${known.sizeBytes} bytes`;
  refuseAny([violation("size_bytes", reason, "tell size and hash of one file")]);
}

/** The handler of GetUpload. */
export function createGetUpload(store: Pick<MediaStore, "getUpload">) {
  return async ({ uploadId }: GetUploadRequest, { caller }: Call): Promise<GetUploadResponse> => ({
    upload: resumableToProto(await uploadOfCaller(store, uploadId, caller.tenant)),
  });
}

/** The tenant's upload; UPLOAD_UNKNOWN when there is none, or it has expired. */
export async function uploadOfCaller(store: Pick<MediaStore, "getUpload">, uploadId: string, tenant: string): Promise<ResumableUpload> {
  const upload = isUploadId(uploadId) ? await store.getUpload(tenant, uploadId) : undefined;
  if (upload !== undefined) return upload;
  const reason = `no upload "${uploadId.slice(0, 80)}" of this tenant, or it has expired`;
  throw new FarmError("UPLOAD_UNKNOWN", { details: { fields: [{ field: "upload_id", reason, remedy: "begin another upload" }] } });
}
