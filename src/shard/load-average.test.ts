import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { costOf, HEAD_HOLD_HOURS, NO_LOAD, REPORT_SERIES } from "./load.ts";
import { LoadAverage, type MeasuredScrape } from "./load-average.ts";

const HOUR_MS = 3_600_000;

/** The average after scrapes every 10 s that differ from one of 100 series as given. */
function averageOf(scrapes: readonly Partial<MeasuredScrape>[], known = 0): LoadAverage {
  const average = new LoadAverage({ newSeriesPerHour: known });
  for (const [i, scrape] of scrapes.entries())
    average.add({
      startMs: i * 10_000,
      intervalMs: 10_000,
      rawSeries: 100,
      series: 100,
      seriesAdded: 0,
      bodyBytes: 5_000,
      ...scrape,
    });
  return average;
}

const seriesOf = (...series: number[]): number =>
  averageOf(series.map((each) => ({ series: each }))).value!.series;

describe("LoadAverage", () => {
  test("knows nothing before the first scrape and all but churn after it", () => {
    assert.equal(averageOf([]).value, undefined);
    assert.deepEqual(averageOf([{ seriesAdded: 100 }]).value, {
      series: 100,
      rawSeries: 100,
      samplesPerSecond: (100 + REPORT_SERIES) / 10,
      bodyBytesPerSecond: 500,
      newSeriesPerHour: 0,
    });
  });

  test("sees growth fast and believes decline slowly", () => {
    assert.equal(seriesOf(100, 5_000), 2_550);
    assert.ok(seriesOf(100, 5_000, 5_000, 5_000, 5_000) > 0.9 * 5_000);
    assert.equal(seriesOf(5_000, 1_000), 4_000);
    assert.ok(seriesOf(5_000, 1_000, 1_000, 1_000, 1_000) > 2_000);
  });

  test("comes to rest on what is steady", () => {
    assert.equal(seriesOf(1, ...Array.from({ length: 40 }, () => 10_045)), 10_045);
    assert.equal(seriesOf(90_000, ...Array.from({ length: 60 }, () => 10_045)), 10_045);
  });

  test("counts raw series of the last scrape, and no bytes of a body that was cut off", () => {
    const { rawSeries, bodyBytesPerSecond } = averageOf([
      { rawSeries: 10, bodyBytes: -1 },
      { rawSeries: 70, bodyBytes: -1 },
    ]).value!;
    assert.deepEqual([rawSeries, bodyBytesPerSecond], [70, 0]);
  });

  test("the cost of a target whose series were replaced once is both sets, and falls as the old ones age", () => {
    const average = averageOf([{}, { seriesAdded: 100 }]);
    assert.equal(costOf(average.value!).series, 100 + REPORT_SERIES + 100);
    const add = (startMs: number): void =>
      average.add({
        startMs,
        intervalMs: 10_000,
        rawSeries: 100,
        series: 100,
        seriesAdded: 0,
        bodyBytes: 0,
      });
    add(10_000 + HEAD_HOLD_HOURS * HOUR_MS);
    assert.equal(costOf(average.value!).series, 100 + REPORT_SERIES + 36);
    add(10_000 + 8 * HEAD_HOLD_HOURS * HOUR_MS);
    assert.equal(costOf(average.value!).series, 100 + REPORT_SERIES);
  });

  test("steady churn is told as a rate", () => {
    const perScrape = 5;
    const scrapes = Array.from({ length: 6_000 }, () => ({ seriesAdded: perScrape }));
    const rate = averageOf(scrapes).value!.newSeriesPerHour;
    assert.ok(Math.abs(rate / (perScrape * 360) - 1) < 0.01, String(rate));
  });

  test("churn that was known before a move is not forgotten", () => {
    assert.equal(averageOf([{}], 40).value!.newSeriesPerHour, 40);
    assert.equal(averageOf([], 40).value, undefined);
  });

  test("a target of unknown size costs its report series", () => {
    assert.deepEqual(costOf(NO_LOAD), { ...NO_LOAD, series: REPORT_SERIES });
  });
});
