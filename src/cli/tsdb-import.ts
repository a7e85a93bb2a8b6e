import { systemClock } from "../base/clock.ts";
import { AppError } from "../base/errors.ts";
import { systemRandom } from "../base/random.ts";
import { importOpenMetrics } from "../block/import-openmetrics.ts";
import { isValidLabelName, METRIC_NAME } from "../model/labels.ts";
import { ProgressBar } from "./progress-bar.ts";
import { type BlockRow, blockRow, blockTable } from "./tsdb-list.ts";

export interface CreateBlocksFlags {
  readonly label?: readonly (readonly [name: string, value: string])[];
  /** ms. */
  readonly maxBlockDuration?: number;
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
      labels: Object.fromEntries(flags.label ?? []),
      ...(flags.maxBlockDuration !== undefined && { maxBlockMs: flags.maxBlockDuration }),
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
  if (flags.quiet === true) return;
  if (flags.json === true)
    console.log(JSON.stringify(rows.map(({ meta, size }) => ({ ...meta, size }))));
  else console.log(blockTable(rows, flags.humanReadable === true));
}

/** A label of the command line. */
export function parseLabel(pair: string): readonly [name: string, value: string] {
  const at = pair.indexOf("=");
  const name = pair.slice(0, Math.max(at, 0));
  if (!isValidLabelName(name) || name === METRIC_NAME)
    throw new AppError("bad-data", "Give it as name=value.");
  return [name, pair.slice(at + 1)];
}
