/** A real Chromium for tests of the page. With SHOAL_SCREENSHOTS=folder every view is kept as a picture. */
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";

const executablePath = process.env["SHOAL_CHROMIUM"];
const pictures = process.env["SHOAL_SCREENSHOTS"];

/** For node:test's `skip`: false when there is a Chromium, else the line that says why. In CI it is an error. */
export function skipWithoutBrowser(): false | string {
  if (executablePath !== undefined) return false;
  if (process.env["CI"] === "true") throw new Error("Chromium is missing, and CI skips nothing");
  return "skipped: no Chromium here (SHOAL_CHROMIUM)";
}

export async function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: executablePath!,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

export interface Visit {
  readonly page: Page;
  readonly problems: string[];
  readonly close: () => Promise<void>;
}

export interface VisitOptions {
  readonly colorScheme?: "light" | "dark";
  readonly width?: number;
}

/** Opens `path` of `origin`, noting every error the page logs and every request that leaves the server. */
export async function openPage(
  browser: Browser,
  { origin, path }: { origin: string; path: string },
  options: VisitOptions = {},
): Promise<Visit> {
  const context = await browser.newContext({
    colorScheme: options.colorScheme ?? "light",
    viewport: { width: options.width ?? 1280, height: 900 },
  });
  const page = await context.newPage();
  const problems: string[] = [];
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") problems.push(message.text());
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(origin) && !request.url().startsWith("data:"))
      problems.push(`a request to ${request.url()}`);
  });
  await page.goto(`${origin}${path}`);
  return { page, problems, close: () => context.close() };
}

export async function picture(page: Page, name: string): Promise<void> {
  if (pictures === undefined) return;
  mkdirSync(pictures, { recursive: true });
  await page.screenshot({ path: join(pictures, `${name}.png`) });
}

export async function assertFits(page: Page): Promise<void> {
  const [content, window] = (await page.evaluate(
    "[document.documentElement.scrollWidth, document.documentElement.clientWidth]",
  )) as [number, number];
  assert.ok(content <= window, `the page is ${content} px wide in a window of ${window} px`);
}
