import { ParsedColumns } from "../exposition/columns.ts";
import { ExpositionParser } from "../exposition/parse.ts";
import { decodePairs } from "../exposition/series.ts";
import type { ScrapeConfig } from "../config/types.ts";
import type { HttpClient } from "../http/client.ts";
import type { Target } from "../model/target.ts";
import { BodyPool } from "./buffers.ts";
import { fetchBody } from "./fetch-body.ts";
import { createLabeler } from "./sample-labels.ts";
import { readExposition } from "./read-exposition.ts";
import { requestHeaders } from "./target-scraper.ts";

/** What one look at a target found. */
export interface Exploration {
  /** Samples in the body. */
  readonly samplesScraped: number;
  /** Series left after metric_relabel_configs: the target's load. */
  readonly seriesPostRelabel: number;
  /** After decompression. */
  readonly bodyBytes: number;
}

/**
 * Asks a target once, as a scrape would, and counts what it exposes without storing it. Rejects with the AppError that
 * would fail a scrape, except that limits on samples and labels are not looked at: a target that breaks them is counted.
 */
export async function exploreTarget(options: {
  readonly target: Target;
  readonly scrapeConfig: ScrapeConfig;
  readonly client: HttpClient;
  readonly signal: AbortSignal;
}): Promise<Exploration> {
  const { target, scrapeConfig, client, signal } = options;
  const { body, contentType } = await fetchBody(
    client,
    {
      url: target.url,
      headers: requestHeaders(scrapeConfig, target),
      signal,
      timeoutMs: target.timeoutMs,
    },
    { pool: new BodyPool(), limit: scrapeConfig.bodySizeLimit, expected: 0 },
  );
  if (body.length === 0) return { samplesScraped: 0, seriesPostRelabel: 0, bodyBytes: 0 };
  const { format, bytes, length } = readExposition(body, contentType, {
    config: scrapeConfig,
    target,
    takeCreated: false,
  });
  const parser = new ExpositionParser(format);
  const columns = new ParsedColumns();
  parser.reset(bytes, length);
  parser.parse(columns);
  return {
    samplesScraped: columns.count,
    seriesPostRelabel: countKept(columns, { text: parser.text, target, scrapeConfig }),
    bodyBytes: body.length,
  };
}

function countKept(
  columns: ParsedColumns,
  source: { text: Buffer; target: Target; scrapeConfig: ScrapeConfig },
): number {
  // Without rules every sample stays, and no label needs to be read.
  if (source.scrapeConfig.metricRelabelConfigs.length === 0) return columns.count;
  const labeler = createLabeler(
    { ...source.scrapeConfig, labelLimit: 0, labelNameLengthLimit: 0, labelValueLengthLimit: 0 },
    source.target.labels,
  );
  let kept = 0;
  for (let i = 0; i < columns.count; i++) {
    const pairs = decodePairs(source.text, {
      start: columns.seriesStart[i]!,
      end: columns.seriesEnd[i]!,
      kind: columns.kinds[i]!,
    });
    if (labeler(pairs) !== undefined) kept++;
  }
  return kept;
}
