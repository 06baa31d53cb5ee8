import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { escapeText, html } from "../../../services/platform/html.ts";

describe("html", () => {
  it("escapes text in elements and attributes, and keeps its own markup", () => {
    expect(html`<a title="${'"><script>'}">${html`<b>${"<&'>"}</b>`}</a>`.toString()).toBe(
      '<a title="&quot;&gt;&lt;script&gt;"><b>&lt;&amp;&#39;&gt;</b></a>',
    );
  });

  it("shows nothing for what is absent, and each of a list", () => {
    expect(html`<p>${undefined}${false}${[1, 2n, "c"]}</p>`.toString()).toBe("<p>12c</p>");
  });

  it("shows zero and the empty string as they are", () => {
    expect(html`<p>${0}${""}</p>`.toString()).toBe("<p>0</p>");
  });
});

describe("escapeText", () => {
  it("leaves nothing of any text that could end an element, an attribute or an entity", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const escaped = escapeText(text);
        expect(escaped).not.toMatch(/[<>"']/);
        expect(escaped.replace(/&(amp|lt|gt|quot|#39);/g, "")).not.toContain("&");
        expect(escaped.isWellFormed()).toBe(true);
      }),
    );
  });

  it("replaces controls and lone surrogates, keeps lines and tabs", () => {
    expect(escapeText("a\u0000b\u001Bc\uD800d\n\te\u0085")).toBe("a\uFFFDb\uFFFDc\uFFFDd\n\te\uFFFD");
  });
});
