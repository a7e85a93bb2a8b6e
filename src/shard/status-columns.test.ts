import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_LOAD } from "./load.ts";
import { decodeStatusTable, encodeStatusTable } from "./status-columns.ts";
import { SAMPLES_PER_SECOND, SERIES, StatusTable } from "./status-table.ts";
import type { TargetStatus } from "./wire.ts";

const STATUSES: ReadonlyMap<string, TargetStatus> = new Map([
  [
    "18446744073709551615",
    {
      state: "in_transfer",
      assignedAtMs: 1_700_000_000_000,
      load: {
        series: 10,
        rawSeries: 20,
        samplesPerSecond: 1.5,
        bodyBytesPerSecond: 7,
        newSeriesPerHour: 3,
      },
      health: "down",
      lastError: "connection refused: ü",
      lastScrapeMs: 1_700_000_000_123,
      lastScrapeDurationMs: 2.5,
      scrapes: 7,
      goodScrapes: 3,
    },
  ],
  [
    "5",
    {
      state: "normal",
      assignedAtMs: 1,
      load: NO_LOAD,
      health: "up",
      lastError: "",
      lastScrapeMs: 0,
      lastScrapeDurationMs: 0,
      scrapes: 0,
      goodScrapes: 0,
    },
  ],
]);

function tableOf(revision: string): StatusTable {
  const table = new StatusTable({ revision, hashes: [...STATUSES.keys()] });
  for (const [place, status] of [...STATUSES.values()].entries()) table.set(place, status);
  return table;
}

test("statuses come through as columns, wherever the bytes stand", () => {
  const body = encodeStatusTable(tableOf("r1"), "");
  for (let shift = 0; shift < 9; shift++) {
    const moved = Buffer.concat([Buffer.alloc(shift), body]).subarray(shift);
    const read = decodeStatusTable(moved, StatusTable.EMPTY.list);
    assert.deepEqual(new Map(read), new Map(STATUSES), `${shift} bytes further`);
    assert.equal(read.list.revision, "r1");
    assert.deepEqual(read.get("5"), STATUSES.get("5"));
    assert.equal(read.get("6"), undefined);
  }
});

test("hashes are sent only to a reader that has another list", () => {
  const table = tableOf("r1");
  const whole = encodeStatusTable(table, "r0");
  const short = encodeStatusTable(table, "r1");
  assert.ok(short.length < whole.length);
  assert.equal(decodeStatusTable(short, table.list).list, table.list);
  assert.throws(() => decodeStatusTable(short, { ...table.list, revision: "r0" }), {
    code: "corrupt",
    message: "cannot read the columns of statuses: they are of another list",
  });
});

test("a figure that is no number of at least 0 counts as 0", () => {
  const table = tableOf("r1");
  table.numbers.set([NaN, -1], SERIES * table.size);
  table.numbers.set([Infinity, 4], SAMPLES_PER_SECOND * table.size);
  const read = decodeStatusTable(encodeStatusTable(table, ""), StatusTable.EMPTY.list);
  assert.deepEqual(
    [...read.values()].map(({ load }) => [load.series, load.samplesPerSecond]),
    [
      [0, 0],
      [0, 4],
    ],
  );
});

test("bytes that are no table are refused", () => {
  const body = encodeStatusTable(tableOf("r1"), "");
  const { list } = StatusTable.EMPTY;
  for (let size = 0; size < body.length; size++)
    assert.throws(() => decodeStatusTable(body.subarray(0, size), list), { code: "corrupt" });
  assert.throws(() => decodeStatusTable(Buffer.from("<html>no shard</html>"), list), {
    code: "corrupt",
    message: "cannot read the columns of statuses: they do not begin as such",
  });
  const longer = Buffer.concat([body, Buffer.alloc(8)]);
  assert.throws(() => decodeStatusTable(longer, list), { code: "corrupt" });
});
