import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import {
  post,
  V1_HEADERS,
  V2_HEADERS,
  writeRequestV1,
  writeRequestV2,
} from "../src/remote/write-request.fixture.ts";
import { fill, mountDisk, skipWithoutMount } from "./support/full-disk.ts";
import {
  apiData,
  freePort,
  type RunningProcess,
  skipWithoutParts,
  sleep,
  startPrometheus,
  startShoal,
  temporaryFolder,
  until,
} from "./support/processes.ts";

const DISK_BYTES = 48 << 20;
/** The state ends at the latest so long after there is space, though nobody writes. */
const END_MAX_MS = 10_000;

/** More than what a full page takes. */
const SERIES = Array.from({ length: 5_000 }, (_, i) => ({
  labels: [
    ["__name__", "many"],
    ["i", String(i)],
  ] as const,
  samples: [[Date.now(), i]] as const,
}));

/** What the receivers answer to much, straight and through `shoal up`. */
async function answers(url: string): Promise<(readonly [number, string | null])[]> {
  const metric = {
    name: "otlp",
    gauge: {
      dataPoints: SERIES.map((_, i) => ({
        timeUnixNano: `${Date.now()}000000`,
        asInt: "1",
        attributes: [{ key: "i", value: { stringValue: String(i) } }],
      })),
    },
  };
  const otlp = { resourceMetrics: [{ scopeMetrics: [{ metrics: [metric] }] }] };
  const responses = [
    await post(url, writeRequestV1(SERIES), V1_HEADERS),
    await post(url, writeRequestV2(SERIES), V2_HEADERS),
    await fetch(`${url}/api/v1/otlp/v1/metrics`, {
      method: "POST",
      headers: { "content-type": "application/json", "content-encoding": "gzip" },
      body: new Uint8Array(gzipSync(JSON.stringify(otlp))),
    }),
  ];
  for (const response of responses)
    assert.doesNotMatch(
      response.headers.get("x-prometheus-remote-write-samples-written") ?? "",
      /[1-9]/,
    );
  return responses.map(({ status, headers }) => [status, headers.get("retry-after")]);
}

test(
  "a Prometheus that sends to a disk that fills loses nothing, and the state ends by itself",
  { skip: skipWithoutMount() || skipWithoutParts() },
  async () => {
    const folder = temporaryFolder("full-disk-sender");
    const disk = join(folder, "disk");
    mountDisk(disk, DISK_BYTES);
    const running: RunningProcess[] = [];
    try {
      const up = await startShoal({
        args: ["up", "--web.enable-remote-write-receiver", "--web.enable-otlp-receiver"],
        config: "scrape_configs: []\n",
        dataFolder: join(disk, "data"),
      });
      running.push(up);
      const { shards } = await until("there is a shard", async () => {
        const found = await apiData<{ shards: { http: string }[] }>(`${up.url}/api/v1/shards`);
        return found.shards.length > 0 ? found : undefined;
      });
      const shardUrl = `http://${shards[0]!.http}`;
      const isFull = async (): Promise<boolean> =>
        /^shoal_storage_disk_full 1$/m.test(await (await fetch(`${shardUrl}/metrics`)).text());
      const port = await freePort();
      const sender = await startPrometheus({
        port,
        config: `
global: {scrape_interval: 1s}
scrape_configs: [{job_name: self, static_configs: [{targets: ["127.0.0.1:${port}"]}]}]
remote_write: [{url: "${up.url}/api/v1/write", queue_config: {batch_send_deadline: 1s}}]
`,
      });
      assert.ok(sender !== undefined);
      running.push(sender);
      const total = async (name: string): Promise<number> => {
        const text = await (await fetch(`${sender.url}/metrics`)).text();
        return Number(
          new RegExp(`^prometheus_remote_storage_${name}\\{.*\\} (.*)$`, "m").exec(text)?.[1],
        );
      };
      const upSince = async (url: string): Promise<Map<number, string>> => {
        const path = `/api/v1/query?query=${encodeURIComponent('up{job="self"}[10m]')}`;
        const { result } = await apiData<{ result: { values: [number, string][] }[] }>(url + path);
        return new Map(result[0]?.values);
      };
      await until("samples come", async () =>
        (await upSince(up.url)).size > 2 ? true : undefined,
      );
      await fill(join(disk, "ballast"));
      for (const url of [shardUrl, up.url])
        assert.deepEqual(await answers(url), Array(3).fill([503, "5"]));
      await until("the sender tries again", async () =>
        (await total("samples_retried_total")) > 0 ? true : undefined,
      );
      await sleep(2_000);
      assert.equal(await isFull(), true);
      rmSync(join(disk, "ballast"));
      await until("it goes on", async () => ((await isFull()) ? undefined : true));
      const wanted = await upSince(sender.url);
      const newestMs = Math.max(...wanted.keys());
      await until("all has come", async () =>
        (await upSince(up.url)).has(newestMs) ? true : undefined,
      );
      const stored = await upSince(up.url);
      // Before the first request of a sender its samples are older than the storage takes, or there are none.
      const firstMs = Math.min(...stored.keys());
      assert.deepEqual(
        [...wanted].filter(([t, value]) => t >= firstMs && stored.get(t) !== value),
        [],
      );
      assert.equal(await total("samples_failed_total"), 0);

      await fill(join(disk, "ballast"));
      await until("it is full again", async () => ((await isFull()) ? true : undefined));
      await sender.stop();
      rmSync(join(disk, "ballast"));
      await until(
        "the state ends with nobody writing",
        async () => ((await isFull()) ? undefined : true),
        END_MAX_MS,
      );
      assert.equal(up.output().match(/the disk has space again/g)?.length, 2, up.output());
    } finally {
      for (const one of running.toReversed()) await one.stop();
      spawnSync("umount", ["--lazy", disk]);
      rmSync(folder, { recursive: true, force: true });
    }
  },
);
