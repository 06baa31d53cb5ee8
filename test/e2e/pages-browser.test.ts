import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newVisitor, overflowOf, startBrowser } from "../support/browser.ts";
import { type PagesSite, startPagesSite } from "../support/pages-site.ts";
import { hostilePrompt, jobIds } from "../support/pages-world.ts";

let browser: Browser;
let site: PagesSite;

beforeAll(async () => {
  [browser, site] = await Promise.all([startBrowser(), startPagesSite()]);
});
afterAll(async () => {
  await browser.close();
  await site.stop();
});

const pages = {
  farm: "/",
  jobs: "/jobs",
  "jobs-filtered": "/jobs?state=failed&class=production&order=create_time",
  "job-running": `/jobs/${jobIds.running}`,
  "job-failed": `/jobs/${jobIds.failed}`,
  "job-batch": `/jobs/${jobIds.batch}?state=failed`,
  "job-hostile": `/jobs/${jobIds.hostile}`,
  "render-running": `/jobs/${jobIds.running}/renders/0`,
  "render-succeeded": `/jobs/${jobIds.succeeded}/renders/0`,
  "render-failed": `/jobs/${jobIds.failed}/renders/0`,
  "render-hostile": `/jobs/${jobIds.hostile}/renders/0`,
  explain: `/jobs/${jobIds.running}/explain`,
  workers: "/workers",
  worker: "/workers/worker-gpu-node-7%2F0",
  "worker-cordoned": "/workers/worker-gpu-node-7%2F1",
  "worker-suspended": "/workers/worker-gpu-node-7%2F2",
  models: "/models",
  usage: "/usage?by=stage&days=7",
  "sign-in": "/sign-in",
  unknown: "/jobs/nothing",
} as const;

const looks = {
  light: { colorScheme: "light" },
  dark: { colorScheme: "dark" },
  narrow: { colorScheme: "light", viewport: { width: 320, height: 700 } },
} as const;

describe.each(Object.entries(looks))("in a window that is %s", (look, options) => {
  it.each(Object.entries(pages))("%s is accessible, quiet and fits", async (name, path) => {
    const { page, context, complaints, visit, violations, shoot } = await newVisitor(browser, site.origin, options);
    expect(await visit(path)).toBe(name === "unknown" ? 404 : 200);
    await shoot(`${name}-${look}`);
    expect(await violations()).toEqual([]);
    expect(await overflowOf(page)).toBe(0);
    expect(complaints.filter((text) => !isExpected(text, name))).toEqual([]);
    await context.close();
  });
});

/** The made-up farm has no events, and Chromium tells of every answer that is no success. */
function isExpected(text: string, name: string): boolean {
  return /404/.test(text) && (name === "unknown" || name.startsWith("job-") || name.startsWith("render-"));
}

describe("a hostile prompt", () => {
  it.each(["", "/renders/0"])("is text and nothing else on /jobs/{id}%s", async (rest) => {
    const { page, context, visit } = await newVisitor(browser, site.origin);
    await visit(`/jobs/${jobIds.hostile}${rest}`);
    expect(await page.evaluate("globalThis.pwned")).toBeUndefined();
    expect(await page.locator("main script, main img[src=x], main [onerror], main [onload]").count()).toBe(0);
    await context.close();
  });

  it("is shown whole, controls aside, in a box of its own direction", async () => {
    const { page, context, visit } = await newVisitor(browser, site.origin);
    await visit(`/jobs/${jobIds.hostile}/renders/0`);
    const shown = page.locator("dd.prompt").first();
    expect(await shown.textContent()).toBe(hostilePrompt.replaceAll("\u0000", "\uFFFD").replaceAll("\u0007", "\uFFFD"));
    expect(await shown.getAttribute("dir")).toBe("auto");
    await context.close();
  });
});

describe("with the keyboard alone", () => {
  it("the first stop skips to the content, and what scrolls can be reached", async () => {
    const { page, context, visit } = await newVisitor(browser, site.origin);
    await visit(`/jobs/${jobIds.running}`);
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Skip to content");
    await page.keyboard.press("Enter");
    expect(await page.evaluate("document.activeElement.id")).toBe("content");
    await page.locator(".graph").focus();
    expect(await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")).not.toBe("none");
    await context.close();
  });
});

describe("without scripts", () => {
  it("filters, pages and media work", async () => {
    const { page, context, visit } = await newVisitor(browser, site.origin, { javaScriptEnabled: false });
    await visit("/jobs");
    await page.getByLabel("failed").check();
    await page.getByLabel("Order").selectOption("oldest first");
    await page.getByRole("button", { name: "Apply" }).click();
    expect(new URL(page.url()).searchParams.get("state")).toBe("failed");
    expect(new URL(page.url()).searchParams.get("order")).toBe("create_time");
    expect(await page.getByLabel("failed").isChecked()).toBe(true);
    expect(await page.locator("tbody tr").count()).toBe(1);
    await page.locator("tbody a").first().click();
    await page.locator("#facts").getByText("SUSPECTED_POISON").waitFor();
    await page.getByText("Open the render").click();
    await page.waitForURL(/\/renders\/0$/);
    expect(await page.locator("figure img").evaluate((image: { naturalWidth: number }) => image.naturalWidth)).toBeGreaterThan(0);
    await context.close();
  });

  it("a page token goes on with the filters kept", async () => {
    const { page, context, visit } = await newVisitor(browser, site.origin, { javaScriptEnabled: false });
    await visit("/jobs?class=benchmark");
    await page.getByRole("link", { name: "Next page" }).click();
    const { searchParams } = new URL(page.url());
    expect([searchParams.get("page"), searchParams.get("class")]).toEqual(["a+token/=", "benchmark"]);
    await context.close();
  });
});

describe("a clip", () => {
  it("plays beside its reference", async () => {
    const { page, context, visit } = await newVisitor(browser, site.origin);
    await visit(`/jobs/${jobIds.succeeded}/renders/0`);
    expect(await page.locator("figcaption").allInnerTexts()).toEqual(["Result", "Image", expect.stringMatching(/^Reference 1/)]);
    const result = page.locator("figure video").first();
    await result.evaluate((video: { play(): Promise<void> }) => video.play());
    expect(await result.evaluate((video: { videoWidth: number }) => video.videoWidth)).toBe(320);
    await context.close();
  });
});

describe("a command", () => {
  it("is copied by its button", async () => {
    const { page, context, visit } = await newVisitor(browser, site.origin);
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    await visit(`/jobs/${jobIds.succeeded}`);
    await page.getByRole("button", { name: /^Copy vapfarm job / }).click();
    await page.getByText("Copied", { exact: true }).first().waitFor();
    expect(await page.evaluate("navigator.clipboard.readText()")).toBe(`vapfarm job ${jobIds.succeeded}`);
    await context.close();
  });
});
