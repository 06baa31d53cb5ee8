/**
 * The media of a render side by side: its result, its references and its image, by signed links that the browser follows itself.
 */
import type { Artifact, RenderSpec } from "../../gen/proto/vapfarm/v1/farm.ts";
import { FarmError } from "../../domain/errors.ts";
import type { FarmReader } from "./farm-reader.ts";
import { type Content, type Html, html } from "../../platform/html.ts";
import { table } from "./parts.ts";
import { byteSize } from "./words.ts";

/** An artifact and where it can be had now, or why not. */
export type LinkedArtifact = { readonly artifact: Artifact; readonly link: string | undefined; readonly problem: string };

/** Which render's artifacts. */
export type RenderAddress = { readonly jobId: string; readonly position: number; readonly root: string };

const linkSeconds = 3_600;

/** Signed links of artifacts; one that cannot be linked says why. */
export function linkArtifacts(
  reader: FarmReader,
  artifacts: readonly Artifact[],
  { jobId, position, root }: RenderAddress,
): Promise<readonly LinkedArtifact[]> {
  return Promise.all(
    artifacts.map(async (artifact) => {
      try {
        const { url, artifact: linked } = await reader.artifactUrl({
          jobId,
          renderPosition: position,
          name: artifact.name,
          lifetimeSeconds: linkSeconds,
        });
        // What the link leads to knows its type best: it is what the browser will be told.
        return { artifact: linked ?? artifact, link: relativeLink(url, root), problem: "" };
      } catch (thrown) {
        if (!(thrown instanceof FarmError)) throw thrown;
        return { artifact, link: undefined, problem: thrown.message };
      }
    }),
  );
}

/**
 * A signed link of this coordinator as one below the pages' root, so that it has the page's own origin: the page allows no other, and no
 * other is it to be sent on to.
 */
export function relativeLink(url: string, root: string): string {
  const found = /^https?:\/\/[^/]+\/(a\/.+)$/.exec(url);
  return found?.[1] === undefined ? url : `${root === "" ? "./" : root}${found[1]}&via=farm`;
}

/** The result beside what it was made from. */
export function mediaPart(spec: RenderSpec | undefined, results: readonly LinkedArtifact[], inputs: readonly LinkedArtifact[]): Html {
  const clips = results.filter(({ artifact }) => isVideo(artifact));
  const shown = [
    ...clips.map((one) => figure(one, "Result")),
    clips.length === 0 &&
      html`<figure class="waiting">
        <div class="frame"><span>No result yet</span></div>
        <figcaption>Result</figcaption>
      </figure>`,
    ...inputs.map((one) => figure(one, captionOf(one.artifact.name), promptOf(one.artifact.name, spec))),
  ];
  return html`<div class="media">${shown}</div>`;
}

function isVideo({ mediaType }: Artifact): boolean {
  return mediaType.startsWith("video/");
}

function captionOf(name: string): string {
  const reference = /^input_reference_(\d+)$/.exec(name)?.[1];
  if (reference !== undefined) return `Reference ${reference}`;
  return name === "input_image" ? "Image" : name;
}

function promptOf(name: string, spec: RenderSpec | undefined): string {
  const reference = /^input_reference_(\d+)$/.exec(name)?.[1];
  return reference === undefined ? "" : (spec?.referencePrompts[Number(reference) - 1] ?? "");
}

function figure({ artifact, link, problem }: LinkedArtifact, caption: string, prompt = ""): Html {
  return html`<figure>
    <div class="frame">${picture(artifact, link, { caption, problem })}</div>
    <figcaption>${caption}${prompt !== "" && html` <span class="fine clamp" dir="auto">${prompt}</span>`}</figcaption>
  </figure>`;
}

type Words = { readonly caption: string; readonly problem: string };

function picture(artifact: Artifact, link: string | undefined, { caption, problem }: Words): Content {
  if (link === undefined) return html`<span>Not available: ${problem}</span>`;
  if (isVideo(artifact)) {
    return html`<video src="${link}" controls muted loop playsinline preload="metadata" aria-label="${caption}">
      <a href="${link}">${caption}</a>
    </video>`;
  }
  if (artifact.mediaType.startsWith("image/")) return html`<img src="${link}" alt="${caption}" />`;
  return html`<a href="${link}">Download ${caption}</a>`;
}

/** Every artifact with its size, hash and link. */
export function artifactTable(linked: readonly LinkedArtifact[]): Html {
  return table({
    caption: "Artifacts",
    columns: [{ title: "Name", isRowHead: true }, { title: "Type" }, { title: "Size", isNumber: true }, { title: "SHA-256" }],
    rows: linked.map(({ artifact, link, problem }) => ({
      cells: [
        link === undefined
          ? html`${artifact.name} <small>not available: ${problem}</small>`
          : html`<a href="${link}" download>${artifact.name}</a>`,
        artifact.mediaType,
        byteSize(artifact.sizeBytes),
        html`<code class="hash wrap">${artifact.sha256}</code>`,
      ],
    })),
    empty: "No artifact yet.",
  });
}
