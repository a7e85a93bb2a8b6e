import assert from "node:assert/strict";
import { test } from "node:test";
import {
  checkIncremental,
  checkStaleness,
  LineCacheHarness as Harness,
  NOW,
} from "./line-cache.fixture.ts";

test("a body seen before is read without labelling anything", () => {
  const harness = new Harness();
  harness.scrape('# TYPE a counter\na{x="1"} 1\na{x="2"} 2\nb 0.30000000000000004\nc NaN\n');
  assert.equal(harness.labeled, 4);
  const { scan, stored, stale } = harness.scrape(
    '# TYPE a counter\na{x="1"} 100\na{x="2"} -2.5\nb 0.30000000000000004\nc 1e3\n',
  );
  assert.equal(harness.labeled, 4);
  assert.deepEqual(stored, [
    '{__name__="a", x="1"} 100',
    '{__name__="a", x="2"} -2.5',
    '{__name__="b"} 0.30000000000000004',
    '{__name__="c"} 1000',
  ]);
  assert.deepEqual(stale, []);
  assert.equal(scan.changed, false);
  assert.equal(scan.result.seriesAdded, 0);
});

test("series that come, go and move are told apart", () => {
  const harness = new Harness();
  assert.equal(harness.scrape("a 1\nb 2\nc 3\n").scan.result.seriesAdded, 3);
  const second = harness.scrape("c 3\nnew 9\na 1\n");
  assert.deepEqual(second.stored, ['{__name__="c"} 3', '{__name__="new"} 9', '{__name__="a"} 1']);
  assert.deepEqual(second.stale, ['{__name__="b"}']);
  assert.equal(second.scan.result.seriesAdded, 1);
  const third = harness.scrape("c 4\nnew 9\na 1\n");
  assert.deepEqual(third.stale, []);
  assert.equal(harness.labeled, 4);
});

test("other text for the same series does not make it stale", () => {
  const harness = new Harness();
  harness.scrape('a{x="1",y="2"} 1\n');
  const { stale, stored, scan } = harness.scrape('a{y="2",x="1",} 2\n');
  assert.deepEqual([stored, stale], [['{__name__="a", x="1", y="2"} 2'], []]);
  assert.equal(scan.result.seriesAdded, 1);
});

test("a second sample of a series is a duplicate unless it has a time of its own", () => {
  const harness = new Harness();
  for (let i = 0; i < 3; i++) {
    const { scan, stored } = harness.scrape("a 1\na 2\nb 3\na 4 500\n");
    assert.deepEqual(stored, ['{__name__="a"} 1', '{__name__="b"} 3', '{__name__="a"} 4 @500']);
    assert.deepEqual([scan.result.scraped, scan.result.added, scan.result.duplicate], [4, 4, 1]);
  }
});

test("dropped series count as scraped, not as added, and are remembered", () => {
  const harness = new Harness();
  for (let i = 0; i < 2; i++) {
    const { scan, stored } = harness.scrape("drop_a 1\na 1\ndrop_b 1\ndrop_b 2\n");
    assert.deepEqual(stored, ['{__name__="a"} 1']);
    assert.deepEqual([scan.result.scraped, scan.result.added], [4, 1]);
  }
  assert.equal(harness.labeled, 3);
});

test("timestamps: honoured, ignored, tracked, or too far ahead", () => {
  const far = NOW + 11 * 60_000;
  const honour = new Harness();
  for (let i = 0; i < 2; i++) {
    const { scan, stored } = honour.scrape(`a 1 500\nb 2\nc 3 ${far}\n`);
    assert.deepEqual(stored, ['{__name__="a"} 1 @500', '{__name__="b"} 2']);
    assert.equal(scan.result.outOfBounds, 1);
  }
  assert.deepEqual(honour.scrape("x 1\n").stale, ['{__name__="b"}']);
  const ignore = new Harness({ honorTimestamps: false });
  for (let i = 0; i < 2; i++)
    assert.deepEqual(ignore.scrape("a 1 500\n").stored, ['{__name__="a"} 1']);
  assert.deepEqual(ignore.scrape("x 1\n").stale, ['{__name__="a"}']);
  const track = new Harness({ trackTimestampsStaleness: true });
  track.scrape("a 1 500\n");
  assert.deepEqual(track.scrape("a 2 501\n").stale, []);
  assert.deepEqual(track.scrape("x 1\n").stale, ['{__name__="a"}']);
});

test("a failed scrape makes everything stale once, and the next good one labels nothing anew", () => {
  const harness = new Harness();
  harness.scrape("a 1\nb 2\n");
  const failed = harness.scrape("a 1\nnew 5\nb x\n");
  assert.match(failed.scan.result.error!.message, /invalid syntax/);
  assert.deepEqual([failed.scan.result.scraped, failed.scan.result.added], [2, 2]);
  assert.deepEqual(failed.stale, ['{__name__="a"}', '{__name__="b"}']);
  assert.deepEqual(harness.scrape("b x\n").stale, []);
  const labeled = harness.labeled;
  const back = harness.scrape("a 3\nb 4\n");
  assert.deepEqual(back.stored, ['{__name__="a"} 3', '{__name__="b"} 4']);
  assert.equal(back.scan.result.seriesAdded, 0);
  assert.equal(harness.labeled, labeled);
});

test("the sample limit counts what relabelling keeps, and reads on to count all", () => {
  const harness = new Harness({ sampleLimit: 2 });
  assert.equal(harness.scrape("a 1\ndrop_x 1\nb 2\n").scan.result.error, undefined);
  const { result } = harness.scrape("a 1\nb 2\nc 3\nd 4\n").scan;
  assert.equal(result.error?.message, "sample limit exceeded");
  assert.deepEqual([result.scraped, result.added], [4, 4]);
});

test("after forget everything is labelled anew, and what the new rules leave out goes stale", () => {
  const harness = new Harness();
  harness.scrape("a 1\nb 2\n");
  const labeler = harness.rules.labeler;
  harness.rules = {
    ...harness.rules,
    labeler: (pairs) => (pairs[1] === "b" ? undefined : labeler(pairs)),
  };
  harness.cache.forget();
  const { stored, stale } = harness.scrape("a 1\nb 2\n");
  assert.deepEqual([stored, stale], [['{__name__="a"} 1'], ['{__name__="b"}']]);
});

test("a changed TYPE line changes how later labels are read", () => {
  const harness = new Harness();
  harness.scrape('# TYPE a gauge\na{le="1"} 1\nz 1\n');
  const { stored } = harness.scrape('# TYPE a histogram\na{le="1"} 1\na{le="2"} 2\nz 1\n');
  assert.equal(stored[1], '{__name__="a", le="2.0"} 2');
});

test("whatever was scraped before, a body is read as if it were the first", () =>
  checkIncremental(1500));

test("a series is stale exactly when the scrape before had it and this one has not", () =>
  checkStaleness(1500));
