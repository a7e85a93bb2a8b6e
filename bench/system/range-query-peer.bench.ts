/**
 * PromQL over HTTP beside a real Prometheus on the same data: a block that its own promtool made, and native histograms that
 * all were sent. Shoal is asked twice: a shard itself, one process as Prometheus is, and a query process that reads this
 * shard over gRPC, both on the cores that Prometheus has. Each has answered all shapes before one is measured, as a server
 * has that runs for days; what the very first answer took is printed too. Rounds alternate, answers are compared digit by
 * digit. First each side has one core, and this client the other; then all have all.
 * SHOAL_BENCH_SHAPES: a part of the queries to ask; SHOAL_BENCH_CORES: `one` or `all` for one half only.
 */
import { once } from "node:events";
import { cpSync, createWriteStream, mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { request } from "undici";
import { remoteWrite } from "../../src/promql/testing/remote-write.fixture.ts";
import {
  freePort,
  type RunningProcess,
  runTool,
  startPrometheus,
  startShoal,
} from "../../test/support/processes.ts";
import { pin } from "../support/pin.ts";
import { median, report } from "../support/report.ts";
import {
  FLOAT_METRICS,
  FLOATS_END_MS,
  NATIVE_SAMPLES,
  NATIVE_SERIES,
  NATIVE_START_MS,
  nativeHistogram,
  nativeLabels,
  STEP_MS,
} from "./range-data.ts";
import { SHAPES, type Shape, stepSeconds } from "./range-shapes.ts";

/** Passes over all shapes that warm the programs up: caches here and there, the JIT here. */
const WARM_UP_PASSES = 3;
/** Rounds that count, after one that brings a shape's own data back into the caches. */
const MAX_ROUNDS = 11;
/** No further round of a shape after so long, once one has counted. */
const SHAPE_MS = 3500;

const NUMBER = /-?\d+(?:\.\d+)?(?:e[+-]\d+)?/g;

const folder = mkdtempSync(join(tmpdir(), "shoal-bench-range-"));
const stops: (() => Promise<void>)[] = [];
try {
  await writeOpenMetrics(join(folder, "data.om"));
  runTool("promtool", [
    "tsdb",
    "create-blocks-from",
    "openmetrics",
    "--max-block-duration=24h",
    join(folder, "data.om"),
    join(folder, "blocks"),
  ]);
  rmSync(join(folder, "data.om"));
  cpSync(join(folder, "blocks"), join(folder, "shard"), { recursive: true });
  const grpc = `127.0.0.1:${await freePort()}`;
  const shard = await startShoal({
    args: [
      "shard",
      "--shard.id=shard-0",
      `--storage.tsdb.path=${join(folder, "shard")}`,
      "--storage.tsdb.retention.time=100y",
      `--grpc.address=${grpc}`,
      "--web.enable-remote-write-receiver",
      "--log.level=error",
    ],
  });
  stops.push(shard.stop);
  await sendNativeHistograms(shard.url);
  const query = await startShoal({
    args: ["query", `--endpoint=${grpc}`, "--log.level=error"],
  });
  stops.push(query.stop);
  let isFilled = false;
  for (const cores of ["one", "all"] as const) {
    if ((process.env["SHOAL_BENCH_CORES"] ?? cores) !== cores) continue;
    // Go takes its number of threads from the environment when it starts.
    if (cores === "one") process.env["GOMAXPROCS"] = "1";
    else delete process.env["GOMAXPROCS"];
    const prometheus = await startPrometheus({
      config: "{}",
      dataFolder: join(folder, "blocks"),
      flags: [
        "--storage.tsdb.retention.time=100y",
        "--web.enable-remote-write-receiver",
        "--enable-feature=native-histograms",
      ],
    });
    if (prometheus !== undefined && !isFilled) await sendNativeHistograms(prometheus.url);
    isFilled = true;
    const last = cpus().length - 1;
    for (const pid of [shard.pid, query.pid, prometheus?.pid])
      if (pid !== undefined) pin(pid, cores === "one" ? "0" : `0-${last}`);
    pin(process.pid, cores === "one" ? String(last) : `0-${last}`);
    const wanted = process.env["SHOAL_BENCH_SHAPES"] ?? "";
    const shapes = SHAPES.filter((shape) => shape.query.includes(wanted));
    for (let pass = 0; pass < WARM_UP_PASSES; pass++)
      for (const shape of shapes)
        await warmUp(shape, { shard, query, prometheus, cores }, pass === 0);
    for (const shape of shapes) await measure(shape, { shard, query, prometheus, cores });
    await prometheus?.stop();
  }
} finally {
  for (const stop of stops.reverse()) await stop();
  rmSync(folder, { recursive: true, force: true });
}

interface Sides {
  readonly shard: RunningProcess;
  readonly query: RunningProcess;
  readonly prometheus: RunningProcess | undefined;
  readonly cores: "one" | "all";
}

/** Asks each side once, and compares the answers when it is for the first time. */
async function warmUp(shape: Shape, sides: Sides, isFirst: boolean): Promise<void> {
  const { shard, query, prometheus, cores } = sides;
  const real = prometheus === undefined ? undefined : await ask(prometheus.url, shape);
  const took: string[] = [];
  for (const { url } of [shard, query]) {
    const mine = await ask(url, shape);
    took.push(mine.ms.toFixed(1));
    if (isFirst && real !== undefined) compare(shape.query, mine.text(), real.text());
  }
  if (isFirst && cores === "one")
    console.log(
      `first answers: ${took.join(", ")}, ${real?.ms.toFixed(1) ?? "–"} ms: ${shape.query}`,
    );
}

async function measure(shape: Shape, { shard, query, prometheus, cores }: Sides): Promise<void> {
  const sides = [
    { name: "a shard itself", url: shard.url, ms: new Array<number>() },
    { name: "a query over a shard", url: query.url, ms: new Array<number>() },
  ];
  const theirs: number[] = [];
  const startedMs = performance.now();
  for (let round = -1; round < MAX_ROUNDS; round++) {
    if (round > 0 && performance.now() - startedMs > SHAPE_MS) break;
    const real = prometheus === undefined ? undefined : await ask(prometheus.url, shape);
    if (round >= 0 && real !== undefined) theirs.push(real.ms);
    for (const { url, ms } of sides) {
      const mine = await ask(url, shape);
      if (round >= 0) ms.push(mine.ms);
    }
  }
  const steps = shape.steps === 1 ? "instant" : `${shape.steps} steps`;
  for (const { name, ms } of sides)
    report({
      name: `\`${shape.query}\`, ${steps}, ${cores === "one" ? "one core" : "all cores"}, ${name}`,
      unit: "ms",
      ours: median(ms),
      ...(theirs.length > 0 && { peer: median(theirs) }),
      better: "less",
      gate: shape.gate,
    });
}

/**
 * Asks as a browser does, which takes gzip, over connections that stay open. The time is until the last byte has come: taking it
 * apart again is this client's work, not the server's.
 */
async function ask(url: string, shape: Shape): Promise<{ ms: number; text: () => string }> {
  const { query, endMs, steps } = shape;
  const end = String(endMs / 1000);
  const start = String(endMs / 1000 - (steps - 1) * stepSeconds);
  const times = steps === 1 ? { time: end } : { start, end, step: String(stepSeconds) };
  const startedMs = performance.now();
  const { statusCode, headers, body } = await request(
    `${url}/api/v1/query${steps === 1 ? "" : "_range"}`,
    {
      method: "POST",
      headers: {
        "accept-encoding": "gzip",
        "content-type": "application/x-www-form-urlencoded",
      },
      body: new URLSearchParams({ query, ...times }).toString(),
    },
  );
  const bytes = Buffer.from(await body.arrayBuffer());
  const ms = performance.now() - startedMs;
  const text = (): string =>
    (headers["content-encoding"] === "gzip" ? gunzipSync(bytes) : bytes).toString();
  if (statusCode !== 200) throw new Error(`${url}: ${query}: ${text()}`);
  return { ms, text };
}

/** Series with their points, as the answer `text` has them. */
function seriesOf(text: string): Map<string, string> {
  const parsed: { data: { result: { metric: Record<string, string> }[] } } = JSON.parse(text);
  return new Map(
    parsed.data.result.map(({ metric, ...points }) => [
      JSON.stringify(metric),
      JSON.stringify(points),
    ]),
  );
}

/**
 * The same series with the same numbers, bit for bit as text; a benchmark of a wrong answer is worth nothing. Only sums of
 * native histograms may differ by rounding: Prometheus 3.5 does not compensate them yet, as later ones and Shoal do.
 */
function compare(query: string, ourText: string, theirText: string): void {
  const ours = seriesOf(ourText);
  const theirs = seriesOf(theirText);
  if (ours.size !== theirs.size || ours.size === 0)
    throw new Error(`${query}: ${ours.size} series, Prometheus has ${theirs.size}`);
  for (const [metric, points] of theirs) {
    const mine = ours.get(metric) ?? "nothing";
    const isEqual = query.includes("bench_native") ? isClose(mine, points) : mine === points;
    if (!isEqual)
      throw new Error(
        `${query}: ${metric} is ${mine.slice(0, 300)}, Prometheus has ${points.slice(0, 300)}`,
      );
  }
}

/** Whether two texts differ in numbers only, and in those by less than 1e-12 of their size. */
function isClose(a: string, b: string): boolean {
  if (a.replaceAll(NUMBER, "0") !== b.replaceAll(NUMBER, "0")) return false;
  const theirs = b.match(NUMBER) ?? [];
  return (a.match(NUMBER) ?? []).every((text, i) => {
    const other = Number(theirs[i]);
    return Math.abs(Number(text) - other) <= 1e-12 * Math.abs(other);
  });
}

async function sendNativeHistograms(url: string): Promise<void> {
  const batch = 20;
  for (let from = 0; from < NATIVE_SAMPLES; from += batch)
    await remoteWrite(
      url,
      Array.from({ length: NATIVE_SERIES }, (_, series) => ({
        labels: nativeLabels(series),
        samples: Array.from({ length: batch }, (__, i) => ({
          timeMs: NATIVE_START_MS + (from + i) * STEP_MS,
          value: nativeHistogram(series, from + i),
          isInteger: true,
        })),
      })),
    );
}

async function writeOpenMetrics(path: string): Promise<void> {
  const out = createWriteStream(path);
  for (const metric of FLOAT_METRICS)
    for (let series = 0; series < metric.seriesCount; series++) {
      const labels = metric
        .labels(series)
        .map(([name, value]) => `${name}="${value}"`)
        .join(",");
      const firstMs = FLOATS_END_MS - (metric.sampleCount - 1) * STEP_MS;
      let lines = "";
      for (let i = 0; i < metric.sampleCount; i++)
        lines += `${metric.name}{${labels}} ${metric.value(series, i)} ${(firstMs + i * STEP_MS) / 1000}\n`;
      if (!out.write(lines)) await once(out, "drain");
    }
  out.end("# EOF\n");
  await once(out, "finish");
}
