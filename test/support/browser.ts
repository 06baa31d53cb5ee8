/**
 * A real Chromium for tests of pages: one per test file, its contexts without anything of each other.
 *
 * The program comes inside the npm package @sparticuz/chromium, so nothing is downloaded; VAPFARM_CHROMIUM names another one. It is unpacked
 * once into .cache, into a folder of its own that then gets its name in one step, so test files that start at the same moment do not see
 * it half there. The package has no program for arm64: there, without VAPFARM_CHROMIUM, the tests fail and say so, because a check of
 * the pages that does not run must not look like one that passed.
 *
 * Arguments are our own: those of the package switch off web security, which the pages' Content-Security-Policy is a part of.
 */
import axe from "axe-core";
import { execFile } from "node:child_process";
import { access, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { projectRoot } from "./ffmpeg.ts";

const cacheFolder = join(projectRoot, ".cache");
const unpackedFolder = join(cacheFolder, "chromium-147.0.0");
const launchMs = 60_000;
const stepMs = 20_000;

const flags = ["--no-sandbox", "--no-zygote", "--disable-gpu", "--disable-dev-shm-usage", "--font-render-hinting=none", "--mute-audio"];

/** Starts Chromium. */
export async function startBrowser(): Promise<Browser> {
  const named = process.env["VAPFARM_CHROMIUM"];
  if (named !== undefined && named !== "") return chromium.launch({ executablePath: named, args: flags, timeout: launchMs });
  const executablePath = await unpackChromium();
  const env = { ...process.env, FONTCONFIG_FILE: join(unpackedFolder, "fonts.conf") };
  return chromium.launch({ executablePath, args: flags, env, timeout: launchMs });
}

async function unpackChromium(): Promise<string> {
  const executablePath = join(unpackedFolder, "chromium");
  if (await exists(executablePath)) return executablePath;
  if (process.arch !== "x64") {
    throw new TypeError(`there is no Chromium for ${process.arch} in @sparticuz/chromium: set VAPFARM_CHROMIUM to one of this machine`);
  }
  await mkdir(cacheFolder, { recursive: true });
  const folder = await mkdtemp(join(cacheFolder, "chromium-unpacking-"));
  const script = 'import chromium from "@sparticuz/chromium"; await chromium.executablePath();';
  await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], {
    cwd: projectRoot,
    env: { ...process.env, TMPDIR: folder },
  });
  await writeFile(join(folder, "fonts.conf"), fontsConfiguration);
  await rename(folder, unpackedFolder).catch(async (thrown: unknown) => {
    await rm(folder, { recursive: true, force: true });
    // Another test file was first.
    if (!(await exists(executablePath))) throw thrown;
  });
  return executablePath;
}

const fontsConfiguration = `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>${join(unpackedFolder, "fonts")}</dir><dir>/usr/share/fonts</dir><cachedir>${join(unpackedFolder, "fonts-cache")}</cachedir></fontconfig>
`;

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** A visitor of pages. */
export type Visitor = {
  readonly context: BrowserContext;
  readonly page: Page;
  /** What the page's scripts and the browser complained of: errors, refused resources. */
  readonly complaints: readonly string[];
  /** Goes to an address below the farm's and answers the HTTP status. */
  readonly visit: (path: string) => Promise<number>;
  /** Violations of WCAG A and AA and of best practices that axe finds, as text. */
  readonly violations: () => Promise<readonly string[]>;
  /** Saves a picture of the whole page where VAPFARM_SCREENSHOTS names a folder. */
  readonly shoot: (name: string) => Promise<void>;
};

/** A visitor with a browser window of its own. */
export async function newVisitor(browser: Browser, origin: string, options: BrowserContextOptions = {}): Promise<Visitor> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: "reduce", ...options });
  context.setDefaultTimeout(stepMs);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  return {
    context,
    page,
    complaints,
    async visit(path) {
      const response = await page.goto(`${origin}${path}`, { waitUntil: "load" });
      return response?.status() ?? 0;
    },
    violations: () => axeViolations(page),
    async shoot(name) {
      const folder = process.env["VAPFARM_SCREENSHOTS"];
      if (folder === undefined || folder === "") return;
      await mkdir(folder, { recursive: true });
      await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
    },
  };
}

type Violation = {
  readonly id: string;
  readonly help: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
};

async function axeViolations(page: Page): Promise<readonly string[]> {
  // Evaluated by the debugger: the page itself may run nothing inline.
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate<{ readonly violations: readonly Violation[] }>(
    "axe.run(document, { resultTypes: ['violations'] })",
  );
  return violations.map(
    ({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => `${node.html} ${node.failureSummary ?? ""}`).join(" | ")}`,
  );
}

/** Whether the page is wider than its window. */
export function overflowOf(page: Page): Promise<number> {
  return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth");
}
