import { systemClock } from "../base/clock.ts";
import { AppError } from "../base/errors.ts";
import { systemRandom } from "../base/random.ts";
import { parseDuration } from "../base/units.ts";
import { importOpenMetrics } from "../block/import-openmetrics.ts";
import { isValidLabelName, METRIC_NAME } from "../model/labels.ts";
import { ProgressBar } from "./progress-bar.ts";
import { type BlockRow, blockRow, blockTable } from "./tsdb-list.ts";

export interface CreateBlocksFlags {
  readonly label: readonly string[];
  readonly maxBlockDuration: string;
  readonly humanReadable?: boolean;
  readonly quiet?: boolean;
  readonly json?: boolean;
}

/** `tsdb create-blocks-from openmetrics`: makes blocks, and lists them as `tsdb list` does. */
export async function createBlocks(
  { input, output }: { input: string; output: string },
  flags: CreateBlocksFlags,
): Promise<void> {
  const progress = new ProgressBar(process.stderr);
  const rows: BlockRow[] = [];
  try {
    await importOpenMetrics({
      input,
      parent: output,
      labels: labelsOf(flags.label),
      maxBlockMs: parseDuration(flags.maxBlockDuration),
      clock: systemClock,
      random: systemRandom,
      onProgress: (share) => progress.show(share),
      onBlock: async (folder) => {
        rows.push(await blockRow(folder));
      },
    });
  } finally {
    progress.clear();
  }
  if (flags.json === true)
    console.log(JSON.stringify(rows.map(({ meta, size }) => ({ ...meta, size }))));
  else if (flags.quiet !== true) console.log(blockTable(rows, flags.humanReadable === true));
}

function labelsOf(pairs: readonly string[]): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const pair of pairs) {
    const at = pair.indexOf("=");
    const name = pair.slice(0, Math.max(at, 0));
    if (!isValidLabelName(name) || name === METRIC_NAME)
      throw new AppError(
        "bad-data",
        `cannot set label ${JSON.stringify(pair)}: give it as name=value`,
      );
    labels[name] = pair.slice(at + 1);
  }
  return labels;
}
