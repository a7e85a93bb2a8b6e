/**
 * Remote write beside a real Prometheus: both take the same requests (10,000 known series of 9 labels, 2,000 samples a
 * request, as Prometheus sends), one after the other, and pay for HTTP, snappy, protobuf, append and log. Prints CPU per
 * sample of the whole process.
 */
import { compressSnappy } from "../../src/base/snappy.ts";
import {
  type RequestSeries,
  V1_HEADERS,
  V2_HEADERS,
  writeRequestV1,
  writeRequestV2,
} from "../../src/remote/write-request.fixture.ts";
import {
  cpuSeconds,
  freePort,
  startPrometheus,
  startShoal,
  temporaryFolder,
} from "../../test/support/processes.ts";
import { report } from "../support/report.ts";

const SERIES = 10_000;
const BATCH = 2_000;
/** Until V8 has compiled what is hot, and the heap has given back what the making of the series left. */
const WARM_UP_ROUNDS = 120;
const ROUNDS = 150;

const seriesLabels = Array.from({ length: SERIES }, (_, i): RequestSeries["labels"] => [
  ["__name__", `http_requests_${i % 50}_total`],
  ["cluster", "eu-west-1"],
  ["code", String(200 + (i % 5))],
  ["container", "server"],
  ["instance", `10.0.${i % 100}.7:9090`],
  ["job", "kubernetes-pods"],
  ["method", i % 2 === 0 ? "GET" : "POST"],
  ["namespace", "production"],
  ["pod", `server-5d8c7bd7c5-${i}`],
]);

type Version = "1.0" | "2.0";

/** The bodies of one round: every series once. */
function bodiesOf(version: Version, round: number, startMs: number): Uint8Array<ArrayBuffer>[] {
  const encode = version === "1.0" ? writeRequestV1 : writeRequestV2;
  const bodies: Uint8Array<ArrayBuffer>[] = [];
  for (let at = 0; at < SERIES; at += BATCH) {
    const list = seriesLabels.slice(at, at + BATCH).map((labels, i) => ({
      labels,
      samples: [[startMs + round * 15_000, (at + i) * 3 + round * 17.5] as const],
    }));
    bodies.push(new Uint8Array(compressSnappy(encode(list))));
  }
  return bodies;
}

/** CPU time a sample costs the process at `url`, in ns. */
async function measure(
  target: { url: string; pid: number },
  version: Version,
  startMs: number,
): Promise<number> {
  const headers = version === "1.0" ? V1_HEADERS : V2_HEADERS;
  let before = 0;
  for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round++) {
    if (round === WARM_UP_ROUNDS) before = cpuSeconds(target.pid);
    for (const body of bodiesOf(version, round, startMs)) {
      const response = await fetch(`${target.url}/api/v1/write`, { method: "POST", headers, body });
      if (response.status !== 204)
        throw new Error(`${target.url}: ${response.status} ${await response.text()}`);
    }
  }
  return ((cpuSeconds(target.pid) - before) * 1e9) / (ROUNDS * SERIES);
}

// The two versions' samples follow each other in time.
const spanMs = (WARM_UP_ROUNDS + ROUNDS + 1) * 15_000;
const startMs = { "1.0": Date.now() - 2 * spanMs, "2.0": Date.now() - spanMs };

const prometheus = await startPrometheus({
  config: "",
  flags: ["--web.enable-remote-write-receiver"],
});
const shoal = await startShoal({
  args: [
    "shard",
    "--web.enable-remote-write-receiver",
    `--storage.tsdb.path=${temporaryFolder("bench-write")}`,
    `--grpc.address=127.0.0.1:${await freePort()}`,
    "--log.level=error",
  ],
});
try {
  for (const version of ["1.0", "2.0"] as const) {
    const ours = await measure(shoal, version, startMs[version]);
    const peer = prometheus && (await measure(prometheus, version, startMs[version]));
    report({
      name: `remote write ${version}, CPU per sample of known series`,
      unit: "ns",
      ours,
      ...(peer !== undefined && { peer }),
      better: "less",
      gate: "≥ 3×, goal 8×",
    });
  }
} finally {
  await shoal.stop();
  await prometheus?.stop();
}
