import type { ChunkAnalysis, Distribution } from "../block/analyze-chunks.ts";

/** What `analyze --extended` prints after the rest, as promtool. */
export function chunkAnalysisText(analysis: ChunkAnalysis): string {
  const parts: [string, Distribution | null][] = [
    ["samples per float chunk", analysis.samplesPerFloatChunk],
    ["bytes per float chunk", analysis.bytesPerFloatChunk],
    ["samples per histogram chunk", analysis.samplesPerHistogramChunk],
    ["bytes per histogram chunk", analysis.bytesPerHistogramChunk],
    ["buckets per histogram chunk", analysis.bucketsPerHistogramChunk],
  ];
  const texts = parts.map(([name, distribution]) =>
    distribution === null ? `${name}: N/A\n` : barsText(name, distribution, analysis.chunkCount),
  );
  return ["", "Compaction analysis:", "", ...texts].join("\n");
}

/** A `#` is a hundredth of all chunks, of whatever kind. */
function barsText(name: string, { min, avg, max, bars }: Distribution, chunkCount: number): string {
  const lines = [`${name} (min/avg/max): ${min}/${avg}/${max}`];
  const last = bars.at(-1)!;
  const fromWidth = String(last.from - 1).length;
  const toWidth = String(last.to).length;
  const countWidth = String(Math.max(...bars.map(({ count }) => count))).length;
  for (const { from, to, count } of bars) {
    const range = `[${String(from).padStart(fromWidth)}, ${String(to).padStart(toWidth)}]`;
    const share = Math.floor((100 * count) / chunkCount);
    lines.push(`${range}: ${String(count).padStart(countWidth)} ${"#".repeat(share)}`);
  }
  return `${lines.join("\n")}\n`;
}
