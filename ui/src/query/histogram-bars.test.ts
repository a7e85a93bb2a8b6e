import assert from "node:assert/strict";
import { describe, it, test } from "node:test";
import type { Bucket } from "../api.ts";
import { barsOf, formatBounds, type Scale } from "./histogram-bars.ts";

/** Left, right, bottom and top of every bar, in per cent. */
function boxes(buckets: Bucket[], scale: Scale): number[][] {
  return barsOf(buckets, scale).bars.map(({ left, right, bottom, top }) =>
    [left, right, bottom, top].map((part) => Math.round(100 * part)),
  );
}

function ticks(buckets: Bucket[], scale: Scale): string[] {
  return barsOf(buckets, scale).ticks.map(({ at, text }) => `${Math.round(100 * at)}: ${text}`);
}

/** The smallest zero bucket there is, which clients use by default. */
const ZERO: Bucket = [3, "-2.938735877055719e-39", "2.938735877055719e-39", "1"];

test("brackets tell which bounds belong to a bucket", () => {
  assert.equal(formatBounds([0, "1", "2", "3"]), "(1, 2]");
  assert.equal(formatBounds([1, "-2", "-1", "3"]), "[-2, -1)");
  assert.equal(formatBounds([2, "-1", "1", "3"]), "(-1, 1)");
  assert.equal(formatBounds([3, "-Inf", "+Inf", "3"]), "[-Inf, +Inf]");
});

describe("on the exponential scale", () => {
  it("buckets are as wide as their ratio and as high as their count, and gaps stay gaps", () => {
    const buckets: Bucket[] = [
      [0, "1", "2", "4"],
      [0, "2", "4", "2"],
      [0, "8", "16", "1"],
    ];
    assert.deepEqual(boxes(buckets, "exponential"), [
      [0, 25, 0, 100],
      [25, 50, 0, 50],
      [75, 100, 0, 25],
    ]);
    assert.deepEqual(ticks(buckets, "exponential"), ["0: 1", "25: 2", "50: 4", "75: 8", "100: 16"]);
  });

  it("a zero bucket stands between the sides, not further from them than a bucket is wide", () => {
    const buckets: Bucket[] = [
      [1, "-4", "-2", "1"],
      [1, "-2", "-1", "2"],
      ZERO,
      [0, "1", "2", "2"],
      [0, "2", "4", "4"],
    ];
    assert.deepEqual(boxes(buckets, "exponential"), [
      [0, 14, 0, 25],
      [14, 29, 0, 50],
      [43, 57, 0, 25],
      [71, 86, 0, 50],
      [86, 100, 0, 100],
    ]);
    assert.deepEqual(ticks(buckets, "exponential"), [
      "0: -4",
      "29: -1",
      "50: 0",
      "71: 1",
      "100: 4",
    ]);
  });

  it("custom buckets without an end, and one from zero, are as wide as the others are", () => {
    const buckets: Bucket[] = [
      [3, "-Inf", "0", "1"],
      [0, "0", "1", "1"],
      [0, "1", "10", "2"],
      [0, "10", "+Inf", "1"],
    ];
    assert.deepEqual(boxes(buckets, "exponential"), [
      [0, 25, 0, 50],
      [25, 50, 0, 50],
      [50, 75, 0, 100],
      [75, 100, 0, 50],
    ]);
    assert.deepEqual(ticks(buckets, "exponential"), [
      "0: -Inf",
      "25: 0",
      "50: 1",
      "75: 10",
      "100: +Inf",
    ]);
  });
});

describe("on the linear scale", () => {
  it("buckets are as wide as the distance of their bounds, and their area is their count", () => {
    const buckets: Bucket[] = [
      [1, "-4", "-2", "4"],
      [0, "2", "4", "2"],
      [0, "4", "12", "2"],
    ];
    assert.deepEqual(boxes(buckets, "linear"), [
      [0, 13, 0, 100],
      [38, 50, 0, 50],
      [50, 100, 0, 13],
    ]);
  });

  it("a very narrow bucket does not flatten the others", () => {
    const [zero, other] = boxes([ZERO, [0, "1", "2", "20"]], "linear");
    assert.deepEqual(zero, [0, 0, 0, 100]);
    assert.deepEqual(other, [50, 100, 0, 20]);
  });

  it("buckets without an end are as wide as their neighbour, and small ones begin at zero", () => {
    assert.deepEqual(
      boxes(
        [
          [3, "-Inf", "1", "1"],
          [0, "1", "4", "3"],
          [0, "4", "+Inf", "3"],
        ],
        "linear",
      ),
      [
        [0, 14, 0, 100],
        [14, 57, 0, 100],
        [57, 100, 0, 100],
      ],
    );
    assert.deepEqual(boxes([[3, "-Inf", "+Inf", "1"]], "linear"), [[0, 100, 0, 100]]);
    assert.deepEqual(boxes([[0, "5", "+Inf", "1"]], "linear"), [[0, 100, 0, 100]]);
    assert.deepEqual(boxes([[3, "-Inf", "-5", "1"]], "linear"), [[0, 100, 0, 100]]);
  });
});

for (const scale of ["exponential", "linear"] as const)
  describe(`whatever there is, ${scale}`, () => {
    it("counts below zero hang from the line", () => {
      assert.deepEqual(
        boxes(
          [
            [0, "1", "2", "3"],
            [0, "2", "4", "-1"],
          ],
          scale,
        ).map(([, , bottom, top]) => [bottom, top]),
        scale === "linear"
          ? [
              [14, 100],
              [0, 14],
            ]
          : [
              [25, 100],
              [0, 25],
            ],
      );
    });

    const odd: Record<string, Bucket[]> = {
      "no bucket": [],
      "a zero bucket alone": [ZERO],
      "a zero bucket without a width": [
        [3, "0", "0", "7"],
        [0, "1", "2", "1"],
      ],
      "only that": [[3, "0", "0", "7"]],
      "counts that are no numbers": [
        [0, "1", "2", "NaN"],
        [0, "2", "4", "+Inf"],
        [0, "4", "8", "-Inf"],
      ],
      "the ends of what numbers can be": [
        [1, "-Inf", "-1.7976931348623157e+308", "1"],
        [1, "-1.7976931348623157e+308", "-8.98846567431158e+307", "1"],
        [0, "8.98846567431158e+307", "1.7976931348623157e+308", "1"],
        [0, "1.7976931348623157e+308", "+Inf", "1"],
      ],
      "the smallest numbers": [
        [0, "5e-324", "1e-323", "1"],
        [0, "1e-323", "2e-323", "1"],
      ],
      "two hundred buckets": Array.from({ length: 200 }, (_, i): Bucket => [
        0,
        String(2 ** (i / 8)),
        String(2 ** ((i + 1) / 8)),
        String(i),
      ]),
    };
    for (const [name, buckets] of Object.entries(odd))
      it(`all bars stand inside the picture, left to right: ${name}`, () => {
        const { bars, ticks: written } = barsOf(buckets, scale);
        assert.equal(bars.length, buckets.length);
        for (const [i, bar] of bars.entries()) {
          const { left, right, bottom, top } = bar;
          for (const part of [left, right, bottom, top])
            assert.ok(part >= 0 && part <= 1, JSON.stringify(bar));
          assert.ok(left <= right && bottom <= top && left >= (bars[i - 1]?.left ?? 0));
        }
        assert.ok(written.length <= 6);
      });
  });
