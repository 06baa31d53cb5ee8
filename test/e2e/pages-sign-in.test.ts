import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newVisitor, startBrowser } from "../support/browser.ts";
import { type CoordinatorFarm, type RunningCoordinator, startCoordinatorFarm } from "../support/coordinator-farm.ts";
import { startPagesSite } from "../support/pages-site.ts";

/** As base64 makes them: with what cookies may not hold as it is. */
const token = 'reader+token/with=;"odd,signs';
const callers = JSON.stringify([{ token, tenant: "north", role: "reader" }]);

let browser: Browser;
let farm: CoordinatorFarm;
let running: RunningCoordinator;
let origin = "";

beforeAll(async () => {
  [browser, farm] = await Promise.all([startBrowser(), startCoordinatorFarm()]);
  running = await farm.start({ environment: { VAPFARM_CALLERS: callers } });
  origin = `http://${running.coordinator.httpAddress()}`;
});
afterAll(async () => {
  await browser.close();
  await farm.stop();
});

describe.each([
  ["with scripts", {}],
  ["without scripts", { javaScriptEnabled: false }],
] as const)("a farm that knows its callers, %s", (_, options) => {
  it("asks for a token, refuses a wrong one, goes on where the visitor was, and forgets at sign-out", async () => {
    const { page, context, visit, violations } = await newVisitor(browser, origin, options);
    expect(await visit("/jobs?state=failed&state=queued")).toBe(401);
    if (!("javaScriptEnabled" in options)) expect(await violations()).toEqual([]);
    await page.getByLabel("Token").fill("not the token of anyone");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("The farm does not know this token.").waitFor();
    expect(await context.cookies()).toEqual([]);
    await page.getByLabel("Token").fill(token);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.waitForURL(`${origin}/jobs?state=failed&state=queued`);
    await page.getByRole("heading", { name: "Jobs" }).waitFor();
    expect(await context.cookies()).toMatchObject([
      { name: "vapfarm_token", httpOnly: true, sameSite: "Strict", secure: false, path: "/" },
    ]);
    expect((await context.request.get(`${origin}/v1/farm`)).status()).toBe(200);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    expect(await context.cookies()).toEqual([]);
    await context.close();
  });
});

describe("a sign-in", () => {
  const form = (next: string): URLSearchParams => new URLSearchParams({ token, next });
  const send = (body: URLSearchParams, headers: Readonly<Record<string, string>> = {}): Promise<Response> =>
    fetch(`${origin}/sign-in`, { method: "POST", body, headers, redirect: "manual" });

  it.each(["//evil.example/", "https://evil.example/", "\\\\evil.example", "/\\evil.example", "javascript:alert(1)", "../../x"])(
    "that would go on to %s stays below the farm",
    async (next) => {
      const response = await send(form(next));
      expect(response.status).toBe(303);
      const target = new URL(response.headers.get("location") ?? "", `${origin}/sign-in`);
      expect(target.origin).toBe(origin);
    },
  );

  it.each([
    ["another site's page, as new browsers tell", { "sec-fetch-site": "cross-site" }],
    ["another site's page, as old browsers tell", { origin: "https://evil.example" }],
    ["a page without an origin", { origin: "null" }],
  ])("from %s is refused and sets nothing", async (_, headers) => {
    const response = await send(form(""), headers);
    expect([response.status, response.headers.get("set-cookie")]).toEqual([403, null]);
  });

  it("that is too long or no form is refused", async () => {
    expect((await send(new URLSearchParams({ token: "x".repeat(9_000) }))).status).toBe(413);
    const json = await fetch(`${origin}/sign-in`, { method: "POST", body: "{}", headers: { "content-type": "application/json" } });
    expect(json.status).toBe(415);
  });

  it("under an https address keeps its cookie to https", async () => {
    const site = await startPagesSite({ token: "enough-letters-of-it", publicUrl: "https://farm.example" });
    const signedIn = await fetch(`${site.origin}/sign-in`, {
      method: "POST",
      body: new URLSearchParams({ token: "enough-letters-of-it" }),
      headers: { origin: "https://farm.example" },
      redirect: "manual",
    });
    expect(signedIn.headers.get("set-cookie")).toMatch(/; HttpOnly; SameSite=Strict; Secure$/);
    await site.stop();
  });
});

describe("every page", () => {
  it.each(["/", "/jobs", "/sign-in", "/nowhere"])(
    "%s may run nothing inline, be framed by nobody and be kept by no cache",
    async (path) => {
      const { headers } = await fetch(`${origin}${path}`, { headers: { accept: "text/html" } });
      expect(headers.get("content-security-policy")).toMatch(/^default-src 'none'; .*frame-ancestors 'none'$/);
      expect(headers.get("content-security-policy")).not.toContain("unsafe");
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("cache-control")).toBe("no-store");
      expect(headers.get("referrer-policy")).toMatch(/^(no-referrer|same-origin)$/);
    },
  );

  it("answers HEAD without a body, and leaves what changes things to the API", async () => {
    const head = await fetch(`${origin}/`, { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([401, ""]);
    for (const method of ["POST", "PUT", "DELETE"]) expect((await fetch(`${origin}/jobs`, { method })).status).toBe(405);
  });
});
