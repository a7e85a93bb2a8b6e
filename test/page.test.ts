/**
 * The page in a real Chromium against a running system: the three pages with data, light and dark, at 360 px, with the state in
 * the address, without a request to anywhere else. With SHOAL_SCREENSHOTS=folder every view is kept as a picture.
 */
import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import { once } from "node:events";
import { after, before, test } from "node:test";
import type { Browser } from "playwright-core";
import {
  assertFits,
  launchBrowser,
  openPage,
  picture,
  skipWithoutBrowser,
  type Visit,
  type VisitOptions,
} from "./support/browser.ts";
import { apiData, type RunningProcess, startShoal, until } from "./support/processes.ts";

const skip = skipWithoutBrowser();

const exporters: Server[] = [];
let shoal: RunningProcess;
let browser: Browser;
let origin: string;

async function startExporter(series: number, metric = "page_requests_total"): Promise<number> {
  let scrapes = 0;
  const server = createServer((_request, response) => {
    scrapes++;
    let body = `# HELP ${metric} Requests.\n# TYPE ${metric} counter\n`;
    for (let i = 0; i < series; i++)
      body += `${metric}{path="/${i}",__proto__="magic"} ${scrapes * (i + 1)}\n`;
    response.writeHead(200, { "Content-Type": "text/plain; version=0.0.4" }).end(body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  exporters.push(server);
  const address = server.address();
  assert.ok(address !== null && typeof address !== "string");
  return address.port;
}

before(
  async () => {
    if (skip !== false) return;
    const ports = [await startExporter(40), await startExporter(40), await startExporter(40)];
    const whale = await startExporter(150, "whale_total");
    const config = `global: { scrape_interval: 1s, scrape_timeout: 1s }
scrape_configs:
  - job_name: shop
    static_configs: [{ targets: [${ports.map((port) => `"127.0.0.1:${port}"`).join(", ")}] }]
  - job_name: broken
    static_configs: [{ targets: ["127.0.0.1:1"] }]
  - job_name: whale
    static_configs: [{ targets: ["127.0.0.1:${whale}"] }]
`;
    shoal = await startShoal({
      args: ["up", "--coordinator.interval=1s", "--shard.max-series=100", "--log.level=warn"],
      config,
    });
    origin = shoal.url;
    await until("all shop targets are scraped", async () => {
      const { result } = await apiData<{ result: { value: [number, string] }[] }>(
        `${origin}/api/v1/query?query=${encodeURIComponent("count(rate(page_requests_total[10s]))")}`,
      );
      return result[0]?.value[1] === "120" ? true : undefined;
    });
    browser = await launchBrowser();
  },
  { timeout: 120_000 },
);

after(async () => {
  await browser?.close();
  await shoal?.stop();
  for (const server of exporters) server.close();
});

async function visit(path: string, options: VisitOptions & { of?: string } = {}): Promise<Visit> {
  return openPage(browser, { origin: options.of ?? origin, path }, options);
}

for (const colorScheme of ["light", "dark"] as const) {
  test(`the query page answers as table and graph (${colorScheme})`, { skip }, async () => {
    const { page, problems, close } = await visit("/query?g0.range_input=5m", { colorScheme });
    await page.getByRole("button", { name: "Run" }).waitFor();
    await picture(page, `query-empty-${colorScheme}`);
    const editor = page.getByRole("textbox", { name: "PromQL expression" });
    await editor.click();
    await editor.pressSequentially("sum by (instance) (rate(page_requests_total[10s]))");
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Run" }).click();
    await page.getByTestId("result-table").waitFor();
    assert.equal(await page.getByTestId("result-table").locator("tbody tr").count(), 3);
    assert.match(page.url(), /g0\.expr=sum\+by/);
    await picture(page, `query-table-${colorScheme}`);
    const time = page.getByRole("textbox", { name: "Evaluation time (RFC 3339)" });
    await time.fill("2001-01-01T00:00:00Z");
    await page.getByText("Empty result: no series matches at this time.").waitFor();
    assert.match(page.url(), /g0\.end_input=2001/);
    await time.fill("");
    await page.getByTestId("result-table").waitFor();
    await page.getByText("Graph", { exact: true }).click();
    await page.locator(".graph canvas").waitFor();
    assert.equal(await page.locator(".legend-row").count(), 3);
    assert.match(page.url(), /g0\.tab=graph/);
    await picture(page, `query-graph-${colorScheme}`);
    await page.getByText("Explain", { exact: true }).click();
    const parts = page.getByTestId("explain").locator("tbody tr");
    await parts.first().waitFor();
    assert.deepEqual(
      (await parts.allTextContents()).map((text) => /^[a-z ()]+/.exec(text)?.[0]),
      ["sum by (instance)sum by (instance) (rate(page", "raterate(page", "range selectorpage"],
    );
    assert.match(page.url(), /g0\.tab=explain/);
    await picture(page, `query-explain-${colorScheme}`);
    assert.deepEqual(problems, []);
    await close();
  });

  test(`the targets page shows shard and series (${colorScheme})`, { skip }, async () => {
    const { page, problems, close } = await visit("/targets", { colorScheme });
    const table = page.getByTestId("targets-table").nth(1);
    await table.waitFor();
    assert.equal(await table.locator("tbody tr").count(), 3);
    assert.equal(await table.locator("tbody tr").filter({ hasText: "up" }).count(), 3);
    assert.equal(await table.getByText(/^shard-\d+$/i).count(), 3);
    await page.getByText("connect").first().waitFor();
    await picture(page, `targets-${colorScheme}`);
    await page.getByRole("textbox", { name: "Search targets" }).fill("127.0.0.1:1/");
    await page.waitForURL(/search=127/);
    await table.waitFor({ state: "detached" });
    assert.deepEqual(problems, []);
    await close();
  });

  test(`the shards page shows load and decisions (${colorScheme})`, { skip }, async () => {
    const { page, problems, close } = await visit("/shards", { colorScheme });
    await page.getByTestId("shards").waitFor();
    assert.ok(
      (await page.getByRole("button", { name: /^Targets of shard-/ }).count()) >= 2,
      "40-series targets within 100 need two shards or more",
    );
    await page.getByTestId("decisions").getByText("Assigned").first().waitFor();
    await page.getByTestId("load-history").locator("canvas").first().waitFor();
    await page.getByTestId("list-too-big").getByText("larger than a shard").waitFor();
    await picture(page, `shards-${colorScheme}`);
    assert.deepEqual(problems, []);
    await close();
  });
}

for (const colorScheme of ["light", "dark"] as const) {
  test(`"why?" tells a target's story (${colorScheme})`, { skip }, async () => {
    const { page, problems, close } = await visit("/targets?search=broken", { colorScheme });
    await page.getByRole("button", { name: "Why: http://127.0.0.1:1/metrics" }).focus();
    await page.keyboard.press("Enter");
    const drawer = page.getByRole("dialog", { name: "Why is it here?" });
    await drawer.getByText(/shard-\d+ scrapes it/).waitFor();
    await drawer.getByText("What was decided").waitFor();
    assert.ok((await drawer.getByTestId("candidates").locator("tbody tr").count()) >= 2);
    await drawer.getByText("has it", { exact: true }).waitFor();
    assert.match(page.url(), /why=\d+/);
    await picture(page, `why-${colorScheme}`);
    await page.keyboard.press("Escape");
    await drawer.waitFor({ state: "detached" });
    assert.doesNotMatch(page.url(), /why=/);
    assert.deepEqual(problems, []);
    await close();
  });
}

for (const colorScheme of ["light", "dark"] as const)
  test(`replicas that stand together are told (${colorScheme})`, { skip }, async () => {
    const { page, problems, close } = await visit("/query", { colorScheme });
    const reason = "they are replicas of each other on one node (n1): one failure takes them both";
    const conditions = [{ replica: "", kind: "together", from: "shop-a-1, shop-b-1", reason }];
    await page.route("**/api/v1/conditions*", (route) =>
      route.fulfill({ json: { status: "success", data: { counts: { together: 1 }, conditions } } }),
    );
    await page.goto(`${origin}/shards`);
    await page.getByTestId("list-together").getByText("shop-a-1, shop-b-1").waitFor();
    await picture(page, `shards-together-${colorScheme}`);
    assert.deepEqual(problems, []);
    await close();
  });

test("an unknown target is told in the drawer", { skip }, async () => {
  const { page, close } = await visit("/shards?why=nobody");
  await page
    .getByRole("alert")
    .getByText(/cannot find a target "nobody"/)
    .waitFor();
  await picture(page, "why-unknown");
  await close();
});

test("draining is off by default, and the button says how to switch it on", { skip }, async () => {
  const { page, problems, close } = await visit("/shards");
  const button = page.getByRole("button", { name: "Drain shard-0" });
  await button.waitFor();
  await until("the hint is there", async () =>
    /--web\.enable-admin-api/.test((await button.getAttribute("aria-description")) ?? "")
      ? true
      : undefined,
  );
  assert.equal(await button.getAttribute("aria-disabled"), "true");
  await button.focus();
  await page.keyboard.press("Enter");
  assert.equal(await page.getByRole("dialog").count(), 0);
  const refused = await fetch(`${origin}/api/v1/shards/drain?shard=shard-0&drain=true`, {
    method: "POST",
  });
  assert.equal(refused.status, 403);
  assert.deepEqual(problems, []);
  await close();
});

test("all scraping is stopped from the page with a reason, and goes on", { skip }, async () => {
  const other = await startShoal({
    args: ["up", "--coordinator.interval=1s", "--web.enable-admin-api", "--log.level=warn"],
    config: `global: { scrape_interval: 1s }
scrape_configs: [{ job_name: one, static_configs: [{ targets: ["127.0.0.1:${await startExporter(5)}"] }] }]
`,
  });
  const { page, problems, close } = await visit("/shards", { of: other.url });
  try {
    await page.getByRole("button", { name: "Stop scraping" }).click();
    const dialog = page.getByRole("dialog");
    const confirm = dialog.getByRole("button", { name: "Stop scraping" });
    await confirm.waitFor();
    assert.equal(await confirm.isDisabled(), true, "it wants a reason");
    await dialog.getByRole("textbox", { name: "Why" }).fill("targets are overloaded");
    await picture(page, "shards-stop");
    await confirm.click();
    await page
      .getByTestId("list-stop")
      .getByText(/^nothing is scraped since .*: targets are overloaded/)
      .waitFor();
    await picture(page, "shards-stopped-by-page");
    await page.getByRole("button", { name: "Scrape again" }).click();
    await dialog.getByRole("button", { name: "Scrape again" }).click();
    await dialog.waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Stop scraping" }).waitFor();
    await page.getByTestId("list-stop").waitFor({ state: "detached" });
    assert.deepEqual(problems, []);
  } finally {
    await close();
    await other.stop();
  }
});

test("ten thousand targets are paged, and the page is in the address", { skip }, async () => {
  const { page, close } = await visit("/query");
  const activeTargets = Array.from({ length: 10_000 }, (_, i) => ({
    discoveredLabels: { __address__: `host-${i}:9100` },
    labels: { instance: `host-${i}:9100`, job: "many" },
    scrapePool: "many",
    scrapeUrl: `http://host-${i}:9100/metrics`,
    lastError: "",
    lastScrape: "2026-01-01T00:00:00Z",
    lastScrapeDuration: 0.01,
    health: "up",
    scrapeInterval: "15s",
    scrapeTimeout: "10s",
    shard: `shard-${i % 20}`,
    series: 1000,
    hash: String(i),
  }));
  await page.route("**/api/v1/targets*", (route) =>
    route.fulfill({ json: { status: "success", data: { activeTargets, droppedTargets: [] } } }),
  );
  await page.goto(`${origin}/targets`);
  const rows = page.getByTestId("targets-table").locator("tbody tr");
  await rows.first().waitFor();
  assert.equal(await rows.count(), 50);
  await page.getByRole("button", { name: "200", exact: true }).click();
  await page.getByText("http://host-9999:9100/metrics").waitFor();
  assert.match(page.url(), /page\.many=200/);
  await page.getByRole("textbox", { name: "Search targets" }).fill("host-4711");
  await page.getByText("http://host-4711:9100/metrics").waitFor();
  assert.equal(await rows.count(), 1);
  await picture(page, "targets-many");
  await close();
});

test(
  "an answer of ten thousand series stays usable, and what it warns of is told",
  { skip },
  async () => {
    const { page, problems, close } = await visit("/query");
    const result = Array.from({ length: 10_000 }, (_, i) => ({
      metric: { __name__: "many", i: String(i) },
      value: [1_700_000_000, String(i)],
      values: [0, 1, 2].map((k) => [1_700_000_000 + 60 * k, String(i)]),
    }));
    await page.route("**/api/v1/query*", (route) => {
      const resultType = route.request().url().includes("query_range") ? "matrix" : "vector";
      const warnings = ["shard-2 did not answer"];
      return route.fulfill({ json: { status: "success", data: { resultType, result }, warnings } });
    });
    await page.goto(`${origin}/query?g0.expr=many`);
    await page.getByText("Showing the first 2000 of 10000 series.").waitFor();
    await page.getByText("shard-2 did not answer").waitFor();
    assert.equal(await page.getByTestId("result-table").locator("tbody tr").count(), 2000);
    await page.getByText("Graph", { exact: true }).click();
    await page.getByText(/Drawing the first \d+ of 10000 series/).waitFor();
    await page.locator(".graph canvas").waitFor();
    await picture(page, "query-many");
    assert.deepEqual(problems, []);
    await close();
  },
);

for (const colorScheme of ["light", "dark"] as const)
  for (const width of [1280, 800, 360])
    test(
      `the figures of a deep query are seen (${colorScheme}, ${width} px)`,
      { skip },
      async () => {
        const terms = Array.from({ length: 200 }, () => "up").join("+");
        const path = `/query?g0.expr=${encodeURIComponent(terms)}&g0.tab=explain&g0.range_input=5m`;
        const { page, problems, close } = await visit(path, { colorScheme, width });
        const parts = page.getByTestId("explain").locator("tbody tr");
        await parts.first().waitFor();
        assert.equal(await parts.count(), 399);
        await picture(page, `query-explain-deep-${colorScheme}-${width}`);
        // The first terms are the deepest: 199 levels down.
        const deepest = parts.nth(199);
        await deepest.scrollIntoViewIfNeeded();
        assert.equal(await deepest.locator("td").first().textContent(), "199");
        await picture(page, `query-explain-deepest-${colorScheme}-${width}`);
        await assertFits(page);
        for (const cell of await page
          .locator(".explain th:visible")
          .or(deepest.locator("td:visible"))
          .all()) {
          const box = await cell.boundingBox();
          assert.ok(box !== null && box.x >= 0 && box.x + box.width <= width, JSON.stringify(box));
          assert.ok(box.y >= 0 && box.y + box.height <= 900, JSON.stringify(box));
        }
        assert.deepEqual(problems, []);
        await close();
      },
    );

test("an answer that cannot be shown leaves the editor", { skip }, async () => {
  const { page, close } = await visit("/query");
  await page.route("**/api/v1/query*", (route) => {
    if (route.request().postData()?.includes("query=odd") !== true) return route.continue();
    const resultType = route.request().url().includes("query_range") ? "matrix" : "vector";
    return route.fulfill({ json: { status: "success", data: { resultType } } });
  });
  for (const tab of ["table", "graph"]) {
    await page.goto(`${origin}/query?g0.expr=odd&g0.tab=${tab}`);
    await page.getByRole("alert").getByText("This answer cannot be shown").waitFor();
    await picture(page, `query-broken-${tab}`);
    const editor = page.getByRole("textbox", { name: "PromQL expression" });
    await editor.click();
    await page.keyboard.press("ControlOrMeta+a");
    await page.keyboard.insertText("sum(up)");
    await page.keyboard.press("Enter");
    await (tab === "table"
      ? page.getByTestId("result-table").waitFor()
      : page.locator(".graph canvas").waitFor());
    assert.equal(await page.getByText("This answer cannot be shown").count(), 0);
  }
  await close();
});

test("every page fits a phone", { skip }, async () => {
  for (const path of [
    "/query?g0.expr=up&g0.tab=graph",
    "/query?g0.expr=sum(up)&g0.tab=explain",
    "/targets",
    "/shards",
    "/targets?why=1",
  ]) {
    const { page, problems, close } = await visit(path, { width: 360 });
    await page
      .locator("main")
      .getByText(/result|up|ready/i)
      .first()
      .waitFor();
    await assertFits(page);
    await picture(page, `phone${path.replaceAll(/[/?.=&]/g, "-").slice(0, 20)}`);
    assert.deepEqual(path.includes("why") ? [] : problems, []);
    await close();
  }
});

test("the editor completes metric names from the server", { skip }, async () => {
  const { page, close } = await visit("/query");
  const editor = page.getByRole("textbox", { name: "PromQL expression" });
  await editor.click();
  await editor.pressSequentially("page_req");
  await page.locator(".cm-tooltip-autocomplete").getByText("page_requests_total").waitFor();
  await close();
});

test("a wrong expression shows Prometheus's message", { skip }, async () => {
  const { page, close } = await visit("/query?g0.expr=sum(");
  await page
    .getByRole("alert")
    .getByText(/parse error: unclosed left parenthesis/)
    .waitFor();
  await picture(page, "query-error");
  await close();
});

test("that scraping is stopped is told", { skip }, async () => {
  const { page, problems, close } = await visit("/shards");
  const { shards } = await apiData<{ shards: { http: string }[] }>(`${origin}/api/v1/shards`);
  /** What a coordinator would tell its shards; ours learns it from this one. */
  const say = async (stopScrapeReason: string): Promise<void> => {
    const response = await fetch(`http://${shards[0]!.http}/api/v1/status/extra_config`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ stopScrapeReason, sinceMs: Date.now() }),
    });
    assert.equal(response.status, 200);
  };
  await say("the network must rest");
  const list = page.getByTestId("list-stop");
  await list.getByText("All shards").waitFor();
  await list.getByText(/nothing is scraped since .*: the network must rest/).waitFor();
  await picture(page, "shards-stopped");
  await say("");
  await list.waitFor({ state: "detached" });
  assert.deepEqual(problems, []);
  await close();
});
