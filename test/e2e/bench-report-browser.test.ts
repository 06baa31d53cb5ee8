import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildReport, type ReportModel } from "../../services/cli/bench/report/model.ts";
import { reportPage } from "../../services/cli/bench/report/page.ts";
import type { ClipMedia } from "../../services/cli/bench/report/page-clips.ts";
import { newVisitor, overflowOf, startBrowser, type Visitor } from "../support/browser.ts";
import { benchPreference, benchRow, benchWorld } from "../support/bench-world.ts";
import { makeClip, runTestFfmpeg } from "../support/ffmpeg.ts";

let browser: Browser;
let folder = "";
let report: ReportModel;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-report-page-"));
  const ours = benchWorld();
  const theirs = benchWorld({ runId: "0199b771", label: "10 steps", steps: 10, shift: -0.3, failed: [3] });
  report = buildReport(ours.run, { source: ours, compared: { kind: "run", source: theirs }, preference: benchPreference });
  const clip = await makeClip(join(folder, "clip.mp4"), { size: "96x64", seconds: 1 });
  await runTestFfmpeg(["-i", clip, "-frames:v", "1", join(folder, "sheet.png")]);
  const media = {
    mp4: `data:video/mp4;base64,${(await readFile(clip)).toString("base64")}`,
    sheet: `data:image/png;base64,${(await readFile(join(folder, "sheet.png"))).toString("base64")}`,
  };
  const shown = new Map<number, ClipMedia>([[0, media], [2, media], [5, media], [12, { note: "left out" }]]); // prettier-ignore
  await writeFile(join(folder, "report.html"), reportPage(report, shown));
  browser = await startBrowser();
});
afterAll(async () => {
  await browser.close();
  await rm(folder, { recursive: true, force: true });
});

type Opened = Visitor & { readonly requests: readonly string[] };

async function opened(options: Parameters<typeof newVisitor>[2] = {}): Promise<Opened> {
  const visitor = await newVisitor(browser, `file://${folder}`, options);
  const requests: string[] = [];
  visitor.page.on("request", (request) => requests.push(request.url()));
  await visitor.visit("/report.html");
  return { ...visitor, requests };
}

const looks = {
  light: { colorScheme: "light" },
  dark: { colorScheme: "dark" },
  phone: { colorScheme: "light", viewport: { width: 390, height: 844 } },
  "phone-dark": { colorScheme: "dark", viewport: { width: 390, height: 844 } },
} as const;

describe("a report's page", () => {
  it.each(Object.entries(looks))("is accessible, quiet, alone and as wide as its window: %s", async (look, options) => {
    const { page, context, complaints, violations, shoot, requests } = await opened(options);
    await shoot(`bench-report-${look}`);
    expect(await violations()).toEqual([]);
    expect(await overflowOf(page)).toBe(0);
    expect(complaints).toEqual([]);
    expect(requests.filter((url) => !/^(file|data):/.test(url))).toEqual([]);
    await context.close();
  });

  it("sorts its clips by a column, also by keyboard, those without a value last both ways", async () => {
    const { page, context } = await opened();
    const column = 4 + report.metrics.findIndex(({ metric }) => metric === "dynamic_degree");
    const head = page.locator(`table.sortable thead th:nth-child(${column})`);
    const shown = (): Promise<string[]> => page.locator(`table.sortable tbody td:nth-child(${column})`).allTextContents();
    await head.locator("button").focus();
    await page.keyboard.press("Enter");
    expect(await head.getAttribute("aria-sort")).toBe("ascending");
    const rising = await shown();
    expect([rising[0], rising.slice(-3).toSorted()]).toEqual(["0", ["nan", "no clip", "no clip"]]);
    await page.keyboard.press("Enter");
    const falling = await shown();
    expect([falling[0], falling.slice(-3).toSorted()]).toEqual(["1", ["nan", "no clip", "no clip"]]);
    await context.close();
  });

  it("plays a clip, and leads from its row to it", async () => {
    const { page, context, complaints } = await opened();
    await page.locator('table.sortable a[href="#clip-2"]').click();
    const video = page.locator("#clip-2 video");
    expect(await video.isVisible()).toBe(true);
    const ended = await page.evaluate<boolean>(
      "new Promise((done, failed) => { const video = document.querySelector('#clip-2 video'); video.loop = false; video.onended = () => done(video.currentTime > 0.9); video.onerror = () => failed(video.error); void video.play(); })",
    );
    expect(ended).toBe(true);
    await page.locator("#clip-2 summary").first().click();
    expect(await page.evaluate<number>("document.querySelector('#clip-2 img').naturalWidth")).toBe(96);
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("holds a hostile prompt as text", async () => {
    const { page, context } = await opened();
    expect(await page.evaluate("globalThis.pwned")).toBeUndefined();
    expect(await page.locator("#clip-5 dd").first().textContent()).toBe(benchRow(5).caption);
    expect(await page.locator("main script, main [onerror]").count()).toBe(0);
    await context.close();
  });
});
