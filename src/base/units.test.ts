import assert from "node:assert/strict";
import { test } from "node:test";
import { formatDuration, formatSize, parseDuration, parseSize } from "./units.ts";

test("durations", () => {
  const f = (text: string, ms: number, printed = text): void => {
    assert.equal(parseDuration(text), ms, text);
    assert.equal(formatDuration(ms), printed, text);
  };
  f("0", 0, "0s");
  f("0s", 0);
  f("1ms", 1);
  f("15s", 15_000);
  f("1m30s", 90_000);
  f("90s", 90_000, "1m30s");
  f("1h", 3_600_000);
  f("7d", 604_800_000, "1w");
  f("10d", 864_000_000);
  f("365d", 31_536_000_000, "1y");
  f("1y1w", 32_140_800_000, "372d");
  for (const bad of ["", "15", "1", "s", "1s1m", "-1s", "1.5h", "1m 30s", "300y"])
    assert.throws(() => parseDuration(bad), { code: "bad-data" }, bad);
});

test("sizes need a unit and are powers of 1024", () => {
  assert.equal(parseSize("0"), 0);
  assert.equal(parseSize("512MB"), 512 * 1024 ** 2);
  assert.equal(parseSize("1GiB"), 1024 ** 3);
  assert.equal(parseSize("15B"), 15);
  assert.equal(formatSize(512 * 1024 ** 2), "512MB");
  assert.equal(formatSize(1500), "1500B");
  assert.equal(formatSize(0), "0B");
  for (const bad of ["", "12", "MB", "-1MB", "1XB"])
    assert.throws(() => parseSize(bad), { code: "bad-data" }, bad);
});
