/** Native histograms that a shard really holds on the query page, in a real Chromium, light and dark. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser, Locator } from "playwright-core";
import {
  CUSTOM_BUCKETS_SCHEMA,
  type FloatHistogram,
  newHistogram,
} from "../src/model/histogram.ts";
import { Labels } from "../src/model/labels.ts";
import {
  remoteWrite,
  type WrittenSample,
  type WrittenSeries,
} from "../src/promql/testing/remote-write.fixture.ts";
import {
  assertFits,
  launchBrowser,
  openPage,
  picture,
  skipWithoutBrowser,
  type Visit,
  type VisitOptions,
} from "./support/browser.ts";
import { type RunningProcess, startShoal } from "./support/processes.ts";

const skip = skipWithoutBrowser();
const SAMPLES = 12;
const STEP_MS = 5000;
const startMs = Date.now() - SAMPLES * STEP_MS;

let shoal: RunningProcess;
let browser: Browser;

function series(
  labels: Record<string, string>,
  valueAt: (k: number) => number | FloatHistogram,
): WrittenSeries {
  const samples = Array.from({ length: SAMPLES }, (_, k): WrittenSample => ({
    timeMs: startMs + k * STEP_MS,
    value: valueAt(k),
  }));
  return { labels: Labels.fromObject(labels), samples };
}

/** Of buckets [-2, -1), a zero bucket, (1, 2], (2, 4] and (16, 32]. */
const twoSided = (k: number): FloatHistogram =>
  newHistogram({
    count: 11 + 10 * k,
    sum: 70.5 + 50 * k,
    zeroThreshold: 2 ** -128,
    zeroCount: 1 + k,
    negativeSpans: Int32Array.of(1, 1),
    negativeBuckets: Float64Array.of(2 + k),
    positiveSpans: Int32Array.of(1, 2, 2, 1),
    positiveBuckets: Float64Array.of(3 + 2 * k, 4 + 5 * k, 1 + k),
  });

/** A hundred and sixty buckets with a bell's counts. */
const wide = (k: number): FloatHistogram => {
  const positiveBuckets = Float64Array.from({ length: 160 }, (_, i) =>
    Math.ceil((1 + k) * 1000 * Math.exp(-(((i - 70) / 30) ** 2))),
  );
  return newHistogram({
    schema: 4,
    count: positiveBuckets.reduce((a, b) => a + b),
    sum: 12_345.678,
    positiveSpans: Int32Array.of(-120, 160),
    positiveBuckets,
  });
};

const custom = (k: number): FloatHistogram =>
  newHistogram({
    schema: CUSTOM_BUCKETS_SCHEMA,
    count: 16 + k,
    sum: 3.25,
    customValues: Float64Array.of(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    positiveSpans: Int32Array.of(0, 4, 3, 5),
    positiveBuckets: Float64Array.of(1, 3, 4, 2, 1, 2, 1, 1, 1 + k),
  });

const DATA = [
  series({ __name__: "nh_seconds", instance: "one" }, twoSided),
  series({ __name__: "nh_wide_seconds" }, wide),
  series({ __name__: "nh_custom_seconds" }, custom),
  series({ __name__: "nh_empty_seconds" }, () => newHistogram({})),
  series({ __name__: "nh_nan_seconds" }, (k) => ({ ...twoSided(k), sum: NaN })),
  ...Array.from({ length: 120 }, (_, i) =>
    series({ __name__: "nh_many", i: String(i).padStart(3, "0") }, (k) => wide(k + i)),
  ),
];

/** Values and histograms by turns. */
const MIXED = series({ __name__: "nh_mixed" }, (k) => (k % 2 === 0 ? k : twoSided(k)));

before(
  async () => {
    if (skip !== false) return;
    shoal = await startShoal({
      args: ["up", "--coordinator.interval=1s", "--web.enable-remote-write-receiver"],
      config: "scrape_configs: []\n",
    });
    await remoteWrite(shoal.url, DATA);
    // Of what one request brings for a series, its values are stored before its histograms.
    for (const sample of MIXED.samples)
      await remoteWrite(shoal.url, [{ labels: MIXED.labels, samples: [sample] }]);
    browser = await launchBrowser();
  },
  { timeout: 120_000 },
);

after(async () => {
  await browser?.close();
  await shoal?.stop();
});

async function visit(parameters: Record<string, string>, options?: VisitOptions): Promise<Visit> {
  const path = `/query?${String(new URLSearchParams(parameters))}`;
  return openPage(browser, { origin: shoal.url, path }, options);
}

/** The newest samples are read at this time, whenever the test runs. */
const AT = { "g0.end_input": new Date(startMs + (SAMPLES - 1) * STEP_MS).toISOString() };

async function rowsOf(table: Locator): Promise<string[][]> {
  const rows = await table.locator("tbody tr").all();
  return Promise.all(rows.map((row) => row.locator("td").allTextContents()));
}

for (const colorScheme of ["light", "dark"] as const) {
  test(`the table shows count, sum and buckets (${colorScheme})`, { skip }, async () => {
    const { page, problems, close } = await visit(
      { "g0.expr": "nh_seconds", ...AT },
      { colorScheme },
    );
    const histogram = page.getByTestId("histogram");
    await histogram.getByText("count 121 sum 620.5").waitFor();
    await histogram
      .getByRole("img", { name: /^Histogram with 5 buckets from -2 to 32,/ })
      .waitFor();
    await histogram.getByText("5 buckets").click();
    assert.deepEqual(await rowsOf(histogram.getByTestId("buckets")), [
      ["[-2, -1)", "13"],
      ["[-2.938735877055719e-39, 2.938735877055719e-39]", "12"],
      ["(1, 2]", "25"],
      ["(2, 4]", "59"],
      ["(16, 32]", "12"],
    ]);
    await picture(page, `histogram-one-${colorScheme}`);
    const bars = histogram.locator(".histogram-bars");
    const exponential = await bars.getAttribute("d");
    await page.getByText("Linear", { exact: true }).click();
    assert.match(page.url(), /g0\.histogram_scale=linear/);
    assert.notEqual(await bars.getAttribute("d"), exponential);
    await histogram.getByRole("img").hover({ position: { x: 100, y: 40 } });
    await picture(page, `histogram-one-linear-${colorScheme}`);
    assert.deepEqual(problems, []);
    await close();
  });

  test(`histograms of all kinds stand beside values (${colorScheme})`, { skip }, async () => {
    const expression = `{__name__=~"nh_(wide|custom|empty|nan)_seconds|nh_mixed"}
  or label_replace(vector(7), "job", "none", "", "")`;
    const { page, problems, close } = await visit(
      { "g0.expr": expression, ...AT },
      { colorScheme },
    );
    const row = (name: string): Locator => page.getByRole("row").filter({ hasText: name });
    await row("nh_wide_seconds").getByText("160 buckets").waitFor();
    await row("nh_empty_seconds").getByText("count 0 sum 0").waitFor();
    assert.equal(await row('{job="none"}').locator("td").last().textContent(), "7");
    assert.equal(await row("nh_empty_seconds").getByRole("img").count(), 0);
    await row("nh_nan_seconds").getByText("count 121 sum NaN").waitFor();
    await picture(page, `histogram-kinds-${colorScheme}`);
    await row("nh_custom_seconds").getByText("9 buckets").click();
    const buckets = await rowsOf(row("nh_custom_seconds").getByTestId("buckets"));
    assert.deepEqual(
      [buckets.at(0), buckets.at(-1)],
      [
        ["[-Inf, 0.005]", "1"],
        ["(10, +Inf]", "12"],
      ],
    );
    await page.getByText("Linear", { exact: true }).click();
    await picture(page, `histogram-kinds-linear-${colorScheme}`);
    assert.deepEqual(problems, []);
    await close();
  });

  test(`a graph tells of histograms and draws the rest (${colorScheme})`, { skip }, async () => {
    const { page, problems, close } = await visit(
      {
        "g0.expr": '{__name__=~"nh_(seconds|mixed)"}',
        "g0.tab": "graph",
        "g0.range_input": "1m",
        ...AT,
      },
      { colorScheme },
    );
    const notice = page.getByTestId("histogram-notice");
    await notice.getByText("2 of 2 series hold native histograms").waitFor();
    await notice.getByText("histogram_quantile(0.9, …)").waitFor();
    await page.locator(".graph canvas").waitFor();
    assert.deepEqual(await page.locator(".legend-row").allTextContents(), ["nh_mixed"]);
    await picture(page, `histogram-graph-${colorScheme}`);
    assert.deepEqual(problems, []);
    await close();
  });
}

test("a graph of histograms alone is the notice", { skip }, async () => {
  const { page, problems, close } = await visit({ "g0.expr": "nh_seconds", "g0.tab": "graph" });
  await page.getByText("1 of 1 series holds native histograms").waitFor();
  assert.equal(await page.locator(".graph").count(), 0);
  await picture(page, "histogram-graph-none");
  await page.getByText("Explain", { exact: true }).click();
  await page.getByTestId("explain").locator("tbody tr").first().waitFor();
  assert.deepEqual(problems, []);
  await close();
});

test("the points of a range are listed in order of time, and open", { skip }, async () => {
  const { page, problems, close } = await visit({ "g0.expr": "nh_mixed[20s]", ...AT });
  const value = page.getByTestId("result-table").locator("tbody tr td").nth(1);
  await value.waitFor();
  const text = await value.innerText();
  assert.deepEqual(
    text
      .trim()
      .split("\n")
      .map((line) => line.replace(/ @[\d.]+$/, "")),
    ["8", "count 101 sum 520.5", "10", "count 121 sum 620.5"],
  );
  await page.getByText("count 121 sum 620.5").click();
  await value.getByRole("img").waitFor();
  assert.equal((await rowsOf(value.getByTestId("buckets"))).length, 5);
  await picture(page, "histogram-range");
  assert.deepEqual(problems, []);
  await close();
});

test("many histograms: the first are pictures, the others open", { skip }, async () => {
  const { page, problems, close } = await visit({ "g0.expr": "nh_many", ...AT });
  const table = page.getByTestId("result-table");
  await table.waitFor();
  assert.equal(await table.getByRole("img").count(), 100);
  await picture(page, "histogram-many");
  const last = table.getByRole("row").filter({ hasText: 'i="119"' });
  await last.locator("summary").click();
  await last.getByRole("img").waitFor();
  await picture(page, "histogram-many-last");
  assert.deepEqual(problems, []);
  await close();
});

test("histograms fit a phone", { skip }, async () => {
  const expression = '{__name__=~"nh_(wide|custom)_seconds"}';
  const { page, close } = await visit({ "g0.expr": expression, ...AT }, { width: 360 });
  await page.getByRole("img").first().waitFor();
  await assertFits(page);
  await picture(page, "histogram-phone");
  await page.getByText("Graph", { exact: true }).click();
  await page.getByTestId("histogram-notice").waitFor();
  await assertFits(page);
  await picture(page, "histogram-phone-graph");
  await close();
});
