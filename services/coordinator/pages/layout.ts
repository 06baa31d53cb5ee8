/**
 * What every page has around its own content: landmarks, navigation, skip link, style and script.
 */
import { assetPath } from "./assets.ts";
import { type Html, html } from "../../platform/html.ts";
import { type Live, linkTo, type Page, type Section, sections } from "./page.ts";
import { utc } from "./words.ts";

/** What the frame of a page depends on beside the page. */
export type Frame = {
  readonly root: string;
  readonly now: Date;
  /** Whether the visitor carries a sign-in that they can end. */
  readonly canSignOut: boolean;
};

/** A whole document. */
export function layout(page: Page, frame: Frame): string {
  const { root } = frame;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${page.title} – vapfarm</title>
<link rel="icon" href="${root}${assetPath("icon.svg")}" type="image/svg+xml">
<link rel="stylesheet" href="${root}${assetPath("pages.css")}">
<script src="${root}${assetPath("pages.js")}" type="module"></script>
</head>
<body${liveAttributes(page.live, root)}>
<a class="skip" href="#content">Skip to content</a>
<header class="top"><div class="bar">
<a class="brand" href="${linkTo(root, [])}">vapfarm</a>
<nav aria-label="Main"><ul>${navigation(root, page.section)}</ul></nav>
${frame.canSignOut && html`<form class="sign-out" method="post" action="${linkTo(root, ["sign-out"])}"><button>Sign out</button></form>`}
</div></header>
<main id="content" tabindex="-1">
${page.body}
</main>
<footer><p>As of <time datetime="${frame.now.toISOString()}">${utc(frame.now)}</time> UTC. <span id="live-state"></span></p></footer>
<p class="hidden-text" id="announcer" role="status" aria-live="polite"></p>
</body>
</html>
`.toString();
}

function navigation(root: string, current: Section | undefined): readonly Html[] {
  return Object.entries(sections).map(([path, name]) => {
    const mark = path === current && html` aria-current="page"`;
    return html`<li><a href="${linkTo(root, path === "" ? [] : [path])}" ${mark}>${name}</a></li>`;
  });
}

function liveAttributes(live: Live | undefined, root: string): Html {
  if (live === undefined) return html``;
  if ("everyMs" in live) return html` data-refresh-ms="${live.everyMs}"`;
  const watch = `${root}v1/jobs/${encodeURIComponent(live.jobId)}:watch?afterEventNumber=${live.afterEventNumber}`;
  return html` data-watch="${watch}"`;
}
