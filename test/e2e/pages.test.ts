import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Job, RenderSpec } from "../../services/gen/proto/vapfarm/v1/farm.ts";
import { newVisitor, startBrowser } from "../support/browser.ts";
import { startTestFarm, type TestFarm } from "../support/farm.ts";
import { submission, submit, upload, watchUntilEnd } from "../support/farm-render.ts";
import { projectRoot } from "../support/ffmpeg.ts";

const hostile = `<script>globalThis.pwned = 1</script>"'><img src=x onerror="globalThis.pwned = 1"> \u202Ertl\u202C שלום ${"w".repeat(19_000)}`;

let browser: Browser;
let farm: TestFarm;
let origin = "";
let good: Partial<RenderSpec> = {};
let done: Job;

beforeAll(async () => {
  [browser, farm] = await Promise.all([startBrowser(), startTestFarm()]);
  const address = farm.description.processes.find(({ name }) => name === "coordinator")?.httpAddress;
  origin = `http://${address ?? ""}`;
  const image = await upload(farm.client, join(projectRoot, "demo/image.png"));
  const clip = await upload(farm.client, join(projectRoot, "demo/clip.mp4"));
  good = {
    image: { sha256: image.sha256, inline: Buffer.alloc(0), uri: "" },
    references: [{ sha256: clip.sha256, inline: Buffer.alloc(0), uri: "" }],
    referencePrompts: ["A ball."],
    steps: 2,
  };
  done = (await watchUntilEnd(farm.client, (await submit(farm.client, submission({ ...good, prompt: hostile, seed: 5n }))).jobId)).job;
}, 180_000);
afterAll(async () => {
  await browser.close();
  await farm.stop();
});

const both = [
  ["with scripts", {}],
  ["without scripts", { javaScriptEnabled: false }],
] as const;

describe.each(both)("a real farm, %s", (_, options) => {
  it("is told at a glance", async () => {
    const { page, context, visit, complaints, shoot } = await newVisitor(browser, origin, options);
    expect(await visit("/")).toBe(200);
    await page.getByRole("heading", { name: /^Farm local/ }).waitFor();
    expect(await page.locator("#pools h3").innerText()).toMatch(/^local cpu/);
    expect(await page.locator(".tiles").innerText()).toMatch(/2\s+live workers/);
    await shoot("real-farm");
    await page.getByRole("link", { name: "live workers" }).click();
    expect((await page.locator("tbody th").allInnerTexts()).toSorted()).toEqual(["worker-1", "worker-2"]);
    await page.getByRole("link", { name: "worker-1" }).click();
    await page.getByRole("heading", { name: /^Worker worker-1/ }).waitFor();
    expect(await page.locator(".facts").innerText()).toContain("demo");
    await page.getByRole("link", { name: "Models" }).click();
    expect(await page.locator("main").innerText()).toMatch(/demo version 1[\s\S]*random weights[\s\S]*64 × 48, 17 frames at 16 per second/);
    await page.getByRole("link", { name: "Usage" }).click();
    expect(await page.locator("tbody th").allInnerTexts()).toContain("denoise");
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("shows a render that succeeded: its pictures, its facts, a hostile prompt as text", async () => {
    const { page, context, visit, complaints, shoot } = await newVisitor(browser, origin, options);
    await visit("/jobs?state=succeeded");
    await page.locator(`a[href$="jobs/${done.jobId}"]`).click();
    await page.getByRole("heading", { name: /succeeded/ }).waitFor();
    expect(await page.locator("#events").innerText()).toMatch(/job\.submitted[\s\S]*task\.succeeded denoise[\s\S]*job\.succeeded/);
    await page.getByText("Open the render").click();
    await page.waitForURL(/renders\/0$/);
    expect(await page.locator("dd.prompt").first().textContent()).toBe(hostile);
    expect(await page.locator("main script, main [onerror]").count()).toBe(0);
    expect(await page.locator("main").innerText()).toMatch(/Random weights/);
    expect(await page.locator("#settings").innerText()).toMatch(/Seed\s+5\s+Steps\s+2/);
    expect(await page.locator("#stages tbody tr").count()).toBe(done.tasks.length);
    expect(await page.locator("figure").count()).toBe(3);
    const image = page.locator("figure img");
    expect(await image.evaluate((one: { naturalWidth: number }) => one.naturalWidth)).toBeGreaterThan(0);
    const clips = page.locator("figure video");
    expect(await clips.count()).toBe(2);
    for (const clip of await clips.all()) {
      await expect.poll(() => clip.evaluate((video: { videoWidth: number }) => video.videoWidth), { timeout: 10_000 }).toBeGreaterThan(0);
    }
    const bytes = await page
      .locator("#artifacts a")
      .evaluateAll((links: readonly { readonly href: string }[]) => links.map(({ href }) => href));
    for (const href of bytes) expect((await context.request.get(href)).status()).toBe(200);
    expect(bytes.length).toBe(3);
    await shoot("real-render");
    expect(complaints).toEqual([]);
    await context.close();
  });

  it.each([
    ["/jobs/00000000-0000-0000-0000-000000000000", 404, "JOB_UNKNOWN"],
    ["/jobs/00000000-0000-0000-0000-000000000000/explain", 404, "JOB_UNKNOWN"],
    ["/jobs/%3Cscript%3E", 404, "JOB_UNKNOWN"],
    ["/workers/nobody", 404, "WORKER_UNKNOWN"],
    ["/jobs?page=forged", 400, "FIELD_INVALID"],
    ["/nowhere", 404, "ROUTE_UNKNOWN"],
    ["/jobs/a/b/c/d/e", 404, "ROUTE_UNKNOWN"],
  ])("%s is an error page with status %d and code %s", async (path, status, code) => {
    const { page, context, visit } = await newVisitor(browser, origin, options);
    expect(await visit(path)).toBe(status);
    expect(await page.locator("main").innerText()).toMatch(new RegExp(`${code}[\\s\\S]*What to do`));
    await context.close();
  });
});

describe("a render that runs", () => {
  it("is followed without a reload, from its steps to its end", async () => {
    const { page, context, visit, complaints, shoot } = await newVisitor(browser, origin);
    const job = await submit(farm.client, submission({ ...good, steps: 1000, seed: 6n }));
    await visit(`/jobs/${job.jobId}/renders/0`);
    await page.evaluate("globalThis.sameDocument = true");
    const denoise = page.locator("#stages tbody tr").filter({ hasText: /^denoise/ });
    await denoise.getByText("running").waitFor();
    await denoise.getByText(/\d+\/1000/).waitFor();
    const step = async (): Promise<number> => Number(/(\d+)\/1000/.exec(await denoise.innerText())?.[1] ?? 0);
    const seen = await step();
    await expect.poll(step, { timeout: 20_000 }).toBeGreaterThan(seen);
    await page.locator("svg .box.running").waitFor();
    await shoot("real-running");
    await farm.client.cancel(job.jobId);
    await page.locator("#state").getByText("cancelled").waitFor();
    await page.locator("#announcer").getByText("Now cancelled").waitFor({ state: "attached" });
    await expect.poll(() => page.locator("#live-state").textContent()).toBe("");
    expect(await page.evaluate("globalThis.sameDocument")).toBe(true);
    expect(complaints).toEqual([]);
    await context.close();
  });

  it("appears in the overview with its step, and explain says that it runs", async () => {
    const { page, context, visit } = await newVisitor(browser, origin);
    await visit("/");
    const job = await submit(farm.client, submission({ ...good, steps: 1000, seed: 7n }));
    const row = page.locator("#running tbody tr").filter({ hasText: "denoise" });
    await row.getByText(/\d+\/1000/).waitFor();
    expect(await row.innerText()).toContain(job.jobId.slice(0, 8));
    await visit(`/jobs/${job.jobId}/explain`);
    expect(await page.locator("#explain").innerText()).toMatch(/denoise[\s\S]*running[\s\S]*vae_decode[\s\S]*inputs missing/);
    await farm.client.cancel(job.jobId);
    await page.getByText("No task of it is open").waitFor();
    await context.close();
  });
});
