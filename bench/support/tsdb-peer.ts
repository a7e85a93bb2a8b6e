/** Prometheus's own storage engine as a small program in Go (tsdb-peer/), the peer of the database's benchmarks. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

let program: string | undefined;

/** Runs a command of the peer and gives its figures; undefined, with a line that says why, where there is no Go. */
export function runTsdbPeer<Figures>(...args: readonly string[]): Figures | undefined {
  program ??= build();
  if (program === "") return undefined;
  return JSON.parse(execFileSync(program, args).toString()) as Figures;
}

/** The path of the program; "" without Go. */
function build(): string {
  const folder = mkdtempSync(join(tmpdir(), "shoal-tsdb-peer-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "peer");
  const built = spawnSync("go", ["build", "-mod=mod", "-o", path, "."], {
    cwd: join(import.meta.dirname, "tsdb-peer"),
    stdio: ["ignore", "ignore", "inherit"],
  });
  if (built.status === 0) return path;
  console.log("no Go here to build the peer with: figures stand alone");
  return "";
}
