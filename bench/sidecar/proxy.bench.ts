/**
 * Scrapes through the sidecar's proxy beside the same work done in Go: a proxy that passes bodies on and counts their
 * series with Prometheus's own parser, as a Kvass sidecar does with another one. Both stand between the same two ends, turn
 * by turn; each of three programs has the machine's cores in common. Needs Go to build the peer (bench/sidecar/peer).
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { median, report } from "../support/report.ts";
import type { ProxyReady } from "./proxy-server.ts";

const CONNECTIONS = 16;
const SECONDS = 2;
const ROUNDS = 5;
/** About 10 KB, 1 MB and 5 MB. */
const SIZES = [
  { name: "10 KB", series: 100 },
  { name: "1 MB", series: 10_000 },
  { name: "5 MB", series: 50_000 },
] as const;

interface Load {
  readonly requestsPerSecond: number;
  readonly megabytesPerSecond: number;
  readonly p50Ms: number;
}

const folder = mkdtempSync(join(tmpdir(), "shoal-proxy-bench-"));
const children: ChildProcess[] = [];

async function start(command: string, args: readonly string[]): Promise<string> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  return line.toString().trim();
}

try {
  const peer = buildPeer();
  if (peer === undefined)
    console.log("no Go here to build the peer and the load with: nothing is measured");
  else for (const size of SIZES) await measure(peer, size);
} finally {
  for (const child of children) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
}

/** The peer's program; undefined without Go. */
function buildPeer(): string | undefined {
  const program = join(folder, "peer");
  const source = join(import.meta.dirname, "peer");
  const built = spawnSync("go", ["build", "-mod=mod", "-o", program, "."], {
    cwd: source,
    stdio: ["ignore", "ignore", "inherit"],
  });
  return built.status === 0 ? program : undefined;
}

async function measure(peer: string, size: { name: string; series: number }): Promise<void> {
  const targetPort = await start(peer, ["target", String(size.series)]);
  const targetUrl = `http://127.0.0.1:${targetPort}/metrics`;
  const peerPort = await start(peer, ["proxy"]);
  const ready = JSON.parse(
    await start(process.execPath, [
      "--disable-warning=ExperimentalWarning",
      "--max-semi-space-size=2",
      join(import.meta.dirname, "proxy-server.ts"),
      targetUrl,
    ]),
  ) as ProxyReady;
  const ways = {
    direct: { url: targetUrl, proxy: "" },
    ours: { url: ready.url, proxy: `http://127.0.0.1:${ready.port}` },
    peer: { url: ready.url, proxy: `http://127.0.0.1:${peerPort}` },
  };
  const load = (way: keyof typeof ways, connections: number): Load => {
    const { url, proxy } = ways[way];
    const text = execFileSync(peer, ["load", url, proxy, String(connections), String(SECONDS)]);
    return JSON.parse(text.toString()) as Load;
  };
  for (const way of ["ours", "peer"] as const) load(way, CONNECTIONS);
  const busy = { ours: [] as Load[], peer: [] as Load[] };
  const quiet = { direct: [] as Load[], ours: [] as Load[], peer: [] as Load[] };
  for (let round = 0; round < ROUNDS; round++) {
    for (const way of ["ours", "peer"] as const) busy[way].push(load(way, CONNECTIONS));
    for (const way of ["direct", "ours", "peer"] as const) quiet[way].push(load(way, 1));
  }
  const of = (loads: readonly Load[], figure: keyof Load): number =>
    median(loads.map((each) => each[figure]));
  const peerName = "Go with Prometheus's parser";
  if (size.series === 100)
    report({
      name: `proxy, ${size.name} bodies, ${CONNECTIONS} connections`,
      unit: "req/s",
      ours: of(busy.ours, "requestsPerSecond"),
      peer: of(busy.peer, "requestsPerSecond"),
      peerName,
      better: "more",
      gate: "≥ 1.3×",
    });
  else
    report({
      name: `proxy, ${size.name} bodies, ${CONNECTIONS} connections`,
      unit: "MB/s",
      ours: of(busy.ours, "megabytesPerSecond"),
      peer: of(busy.peer, "megabytesPerSecond"),
      peerName,
      better: "more",
      gate: "≥ 3×",
    });
  const added = (way: "ours" | "peer"): number =>
    Math.max(0.001, of(quiet[way], "p50Ms") - of(quiet.direct, "p50Ms"));
  report({
    name: `proxy, ${size.name} bodies, added median latency`,
    unit: "ms",
    ours: added("ours"),
    peer: added("peer"),
    peerName,
    better: "less",
    gate: "≤ 1×",
  });
  for (const child of children.splice(0)) child.kill("SIGKILL");
}
