/**
 * Checks the house's layers (docs/ARCHITECTURE.md): a room imports only from rooms on lower layers, siblings do not import
 * each other, and every folder under src/ is a known room. Cycles inside a room are oxlint's `import/no-cycle`.
 */
import { globSync, readFileSync } from "node:fs";
import { join, normalize } from "node:path";

const LAYERS: readonly (readonly string[])[] = [
  ["base"],
  ["model", "proto", "grpc"],
  ["exposition", "chunk", "objstore", "config"],
  ["storage"],
  ["http", "index", "wal", "promql"],
  ["kubernetes"],
  ["block", "discovery", "scrape", "monitors", "remote"],
  ["tsdb", "bucket", "compact"],
  ["shard", "sidecar", "store", "query", "frontend", "receive", "rule"],
  ["api", "simulate"],
  ["cli"],
];
const layerOf = new Map(
  LAYERS.flatMap((rooms, layer) => rooms.map((room) => [room, layer] as const)),
);
const IMPORT =
  /(?:^|\n)\s*(?:import|export)\b[^;"']*?from\s+"(\.[^"]+)"|import\(\s*"(\.[^"]+)"\s*\)|new URL\(\s*"(\.[^"]+\.ts)"/g;

const problems: string[] = [];
const files = globSync("src/**/*.ts").sort();
let imports = 0;
for (const file of files) {
  const room = file.split("/")[1]!;
  const layer = layerOf.get(room);
  if (layer === undefined) {
    problems.push(
      `${file}: src/${room} is not a known room; give it a layer here and in docs/ARCHITECTURE.md`,
    );
    continue;
  }
  for (const match of readFileSync(file, "utf8").matchAll(IMPORT)) {
    const target = normalize(join(file, "..", match[1] ?? match[2] ?? match[3]!));
    const other = target.split("/")[1]!;
    imports++;
    // A test may reach anywhere in src/: it wires real rooms together.
    if (!target.startsWith("src/") || other === room || file.endsWith(".test.ts")) continue;
    const otherLayer = layerOf.get(other);
    if (otherLayer === undefined || otherLayer >= layer)
      problems.push(
        `${file}: imports ${target}; ${room} (layer ${layer}) may not use ${other} (layer ${otherLayer ?? "unknown"})`,
      );
  }
}
for (const problem of problems) console.error(problem);
console.error(`${files.length} files, ${imports} imports, ${problems.length} against the layers`);
process.exit(problems.length === 0 && imports > 0 ? 0 : 1);
