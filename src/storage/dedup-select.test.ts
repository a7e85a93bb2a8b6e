import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Labels } from "../model/labels.ts";
import { chunksOf, point, pointsOf } from "./dedup.fixture.ts";
import {
  byReplicaLabels,
  dedupSelect,
  ofReplica,
  replicaKey,
  replicaName,
} from "./dedup-select.ts";
import type { Series, SeriesBatch } from "./queryable.ts";

const series = (labels: Record<string, string>, ...times: readonly number[]): Series => ({
  labels: Labels.fromObject({ __name__: "up", ...labels }),
  chunks: chunksOf(times.map((t) => point(t * 1000, t))),
});

async function* source(
  ...batches: (readonly Series[] | SeriesBatch)[]
): AsyncGenerator<SeriesBatch> {
  for (const batch of batches) yield "series" in batch ? batch : { series: batch };
}

async function shown(batches: AsyncIterable<SeriesBatch>): Promise<string[]> {
  const lines: string[] = [];
  for await (const batch of batches) {
    for (const { labels, chunks } of batch.series)
      lines.push(
        `${labels.toString()} ${pointsOf(chunks)
          .map(({ v }) => v)
          .join(" ")}`.trim(),
      );
    lines.push(...(batch.warnings ?? []), ...(batch.infos ?? []));
  }
  return lines;
}

const EVERY_10 = [0, 10, 20, 30, 40];
const options = { isCounter: false };

describe("dedupSelect", () => {
  it("makes one series of what two stores of different replicas have", async () => {
    const merged = dedupSelect(
      [
        ofReplica(source([series({ i: "1" }, ...EVERY_10), series({ i: "3" }, 0, 10)]), "b"),
        ofReplica(source([series({ i: "1" }, 1, 11), series({ i: "2" }, 1)]), "a"),
      ],
      options,
    );
    assert.deepEqual(await shown(merged), [
      '{__name__="up", i="1"} 1 11 20 30 40',
      '{__name__="up", i="2"} 1',
      '{__name__="up", i="3"} 0 10',
    ]);
  });

  it("merges stores of the same replica sample by sample", async () => {
    const merged = dedupSelect(
      [
        ofReplica(source([series({}, 0, 10, 20)]), "a"),
        ofReplica(source([series({}, 20, 30, 40)]), "a"),
        ofReplica(source([series({}, 5, 15, 25, 35, 45, 55)]), "b"),
      ],
      options,
    );
    assert.deepEqual(await shown(merged), ['{__name__="up"} 0 10 20 30 40 45 55']);
  });

  it("takes replica labels out and restores the order, wherever they stand", async () => {
    const names = ["a_replica", "z_replica"];
    const batches = source(
      { series: [series({ a_replica: "1", b: "2" }, ...EVERY_10)], warnings: ["w"] },
      [
        series({ a_replica: "1", c: "1", z_replica: "x" }, 0),
        series({ a_replica: "2", b: "1" }, 7),
        series({ a_replica: "2", b: "2" }, 1, 11, 21),
        series({ b: "1", z_replica: "y" }, 8),
      ],
      { series: [], infos: ["i"] },
    );
    assert.deepEqual(await shown(dedupSelect([byReplicaLabels(batches, { names })], options)), [
      '{__name__="up", b="1"} 7 8',
      '{__name__="up", b="2"} 0 10 20 30 40',
      '{__name__="up", c="1"} 0',
      "w",
      "i",
    ]);
  });

  it("counts a label that a store has taken out itself", async () => {
    const names = ["replica", "ruler"];
    const fixed = Labels.fromObject({ replica: "a" });
    const a = source([series({ ruler: "x" }, ...EVERY_10), series({ ruler: "y" }, 3, 13)]);
    const b = source([series({ replica: "b", ruler: "x" }, 2, 12)]);
    assert.deepEqual(
      await shown(
        dedupSelect([byReplicaLabels(a, { names, fixed }), byReplicaLabels(b, { names })], options),
      ),
      ['{__name__="up"} 0 10 20 30 40'],
    );
  });

  it("gives as many series as asked for", async () => {
    const one = (replica: string): AsyncIterable<SeriesBatch> =>
      ofReplica(
        source([series({ i: "1" }, 1), series({ i: "2" }, 2), series({ i: "3" }, 3)]),
        replica,
      );
    assert.deepEqual(await shown(dedupSelect([one("a"), one("b")], { ...options, limit: 2 })), [
      '{__name__="up", i="1"} 1',
      '{__name__="up", i="2"} 2',
    ]);
  });
});

describe("replicaKey", () => {
  it("tells replicas apart and is readable", () => {
    const of = (labels: Record<string, string>): string =>
      replicaKey(["replica", "ruler"], (name) => labels[name] ?? "");
    assert.notEqual(of({ replica: "ab" }), of({ replica: "a", ruler: "b" }));
    assert.notEqual(of({ replica: "a" }), of({ ruler: "a" }));
    assert.equal(replicaName(of({ replica: "a" })), "a");
    assert.equal(replicaName(of({ replica: "a", ruler: "b" })), "a/b");
  });
});
