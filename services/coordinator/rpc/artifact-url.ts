/**
 * GetArtifactUrl: an address under which anyone can GET one artifact for a short time, without the caller's credentials.
 */
import { numberRule, refuseAny } from "../../domain/field-rules.ts";
import type { GetArtifactUrlRequest, GetArtifactUrlResponse } from "../../gen/proto/vapfarm/v1/farm.ts";
import { signLink } from "../http/artifact-link.ts";
import { type ArtifactLookup, findArtifact } from "./find-artifact.ts";
import { artifactToProto } from "./job-mapping.ts";
import type { Call } from "./method.ts";

/** What GetArtifactUrl works with. */
export type ArtifactUrlDependencies = {
  readonly store: ArtifactLookup;
  readonly signingKey: () => Promise<Uint8Array>;
  /** Origin under which others reach the HTTP side; known once that has started. */
  readonly publicUrl: () => string;
  readonly now: () => Date;
};

const defaultSeconds = 300;
const mostSeconds = 3_600;

/** The handler of GetArtifactUrl. */
export function createGetArtifactUrl({ store, signingKey, publicUrl, now }: ArtifactUrlDependencies) {
  return async (request: GetArtifactUrlRequest, { caller }: Call): Promise<GetArtifactUrlResponse> => {
    const { jobId, name, renderPosition: position, lifetimeSeconds } = request;
    refuseAny(numberRule("lifetime_seconds", { value: lifetimeSeconds, min: 0, max: mostSeconds }));
    const artifact = await findArtifact(store, { jobId, position, name }, caller);
    const lifetime = lifetimeSeconds === 0 ? defaultSeconds : lifetimeSeconds;
    // Whole seconds, rounded up, so that it holds for no less than asked.
    const expiresAt = Math.ceil(now().getTime() / 1000) + lifetime;
    const path = signLink({ jobId, position, name, sha256: artifact.sha256, expiresAt }, await signingKey());
    return { url: `${publicUrl()}${path}`, expireTime: new Date(expiresAt * 1000), artifact: artifactToProto(artifact) };
  };
}
