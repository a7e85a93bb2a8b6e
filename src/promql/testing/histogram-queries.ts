import { pick, type Random, randomInt } from "../../base/random.ts";

const SOURCES = ["latency", "queue_depth", "size", "changing", "doubtful", "requests_total"];
const RANGE_FUNCTIONS = [
  "rate",
  "increase",
  "irate",
  "delta",
  "idelta",
  "changes",
  "resets",
  "sum_over_time",
  "avg_over_time",
  "min_over_time",
  "max_over_time",
  "count_over_time",
  "last_over_time",
  "present_over_time",
  "absent_over_time",
  "stddev_over_time",
  "deriv",
  "mad_over_time",
  "ts_of_last_over_time",
  "ts_of_max_over_time",
];
const ELEMENT_FUNCTIONS = [
  "histogram_count",
  "histogram_sum",
  "histogram_avg",
  "histogram_stddev",
  "histogram_stdvar",
  "abs",
  "timestamp",
  "absent",
  "sort",
  "sort_desc",
  "-",
];
const AGGREGATIONS = ["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"];
const OPERATORS = ["+", "-", "*", "/", "%", "^", "==", "!=", "<", ">=", "and", "or", "unless"];
const NAMED = '{__name__=~"latency|size|changing|requests_total"}';

/** In a mean of histograms with other buckets, 3.5 takes those that come later as they are. */
export function isMeanOfGauges(query: string): boolean {
  return /\bavg(?:_over_time| by).*(?:queue_depth|changing)/.test(query);
}

export const HISTOGRAM_QUERIES: Readonly<Record<string, readonly string[]>> = {
  selectors: [
    ...SOURCES,
    ...SOURCES.map((source) => `${source}[1m]`),
    ...SOURCES.map((source) => `${source} offset 7m`),
    "changing[15m:1m]",
    "latency @ 1700000900",
    NAMED,
    `scalar(changing{job="api", instance="a"})`,
  ],
  "range functions": RANGE_FUNCTIONS.flatMap((func) => [
    ...SOURCES.map((source) => `${func}(${source}[5m])`),
    `${func}(latency[17m])`,
    `${func}(changing[1m])`,
    `${func}(latency[20s])`,
    `${func}(size[10m:1m])`,
  ]).filter((query) => !isMeanOfGauges(query)),
  "element functions": ELEMENT_FUNCTIONS.flatMap((func) =>
    SOURCES.map((source) => `${func}(${source})`),
  ),
  quantiles: [-1, 0, 0.01, 0.3, 0.5, 0.9, 0.999, 1, 2, "NaN"].flatMap((phi) =>
    SOURCES.map((source) => `histogram_quantile(${phi}, ${source})`),
  ),
  "quantiles of rates": [
    "histogram_quantile(0.9, sum by (job)(rate(latency[5m])))",
    "histogram_quantile(0.5, rate(size[5m]))",
    "histogram_fraction(0, 0.5, rate(latency[5m]))",
    "histogram_avg(rate(latency[5m]))",
    "histogram_count(increase(latency[10m]))",
    "histogram_sum(sum(rate(latency[5m])))",
    "histogram_count(sum_over_time(latency[5m]))",
    "histogram_stddev(sum(queue_depth))",
  ],
  fractions: ["-Inf, +Inf", "0, 1", "-0.2, 3.3", "1, 1", "2, 1", "NaN, 1", "0.0005, 7"].flatMap(
    (bounds) => SOURCES.map((source) => `histogram_fraction(${bounds}, ${source})`),
  ),
  aggregations: [
    ...AGGREGATIONS.flatMap((operator) => [
      ...SOURCES.map((source) => `${operator} by (job)(${source})`),
      `${operator}(rate(latency[5m]))`,
    ]).filter((query) => !isMeanOfGauges(query)),
    ...AGGREGATIONS.slice(2).map((operator) => `${operator}(${NAMED})`),
    "quantile(0.5, changing)",
    "topk(2, changing)",
    "bottomk(2, changing)",
    'count_values("value", queue_depth{instance="a"})',
  ],
  "binary operators": OPERATORS.flatMap((operator) => [
    `latency ${operator} latency`,
    `latency ${operator} ignoring (instance) group_left doubtful`,
    `latency ${operator} on (job, instance) size`,
    `latency ${operator} on (job, instance) requests_total`,
    `requests_total ${operator} on (job, instance) latency`,
    `changing ${operator} on (job, instance) requests_total`,
    ...(OPERATORS.indexOf(operator) < 10
      ? [`latency ${operator} 2`, `3 ${operator} queue_depth`, `changing ${operator} 2`]
      : []),
  ]),
  "labels and names": [
    'label_replace(latency, "x", "$1", "job", "(.).*")',
    'label_join(latency, "x", "-", "job", "instance")',
    'rate({__name__=~"latency|size", job="api"}[5m])',
    '-{__name__=~"latency|size", job="api", instance="a"}',
    "absent(latency)",
    "absent_over_time(nothing[5m])",
    'sort_by_label(latency, "instance")',
    "limit_ratio(0.5, latency)",
  ],
};

/** Queries of several levels, whose parts may well not fit together. */
export class HistogramQueryGenerator {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  vector(depth: number): string {
    if (depth === 0) return this.#selector();
    const inner = (): string => this.vector(depth - 1);
    switch (randomInt(this.#random, 7)) {
      case 0:
        return `${this.#pick(RANGE_FUNCTIONS)}(${this.#selector()}[${this.#pick(["1m", "4m", "13m"])}])`;
      case 1:
        // Resets between the steps of a subquery are newer, and so is the way back to zero in rates.
        return `${this.#pick(RANGE_FUNCTIONS.slice(4))}((${inner()})[8m:1m])`;
      case 2:
        // Only newer versions take a negated counter for a gauge.
        return `${this.#pick(ELEMENT_FUNCTIONS.filter((func) => func !== "-"))}(${inner()})`;
      case 3:
        return `histogram_quantile(${this.#pick(["0.1", "0.5", "0.99"])}, ${inner()})`;
      case 4:
        return `histogram_fraction(${this.#pick(["-Inf, 1", "0, 2", "0.3, +Inf"])}, ${inner()})`;
      case 5:
        return `${this.#pick(AGGREGATIONS)} by (${this.#pick(["job", "instance", "job, instance"])})(${inner()})`;
      default:
        return `(${inner()} ${this.#pick(OPERATORS)} ${inner()})`;
    }
  }

  #selector(): string {
    const matchers = this.#pick(["", "", '{job="api"}', '{instance=~"a|b"}']);
    return `${this.#pick(SOURCES)}${matchers}`;
  }

  #pick<T>(choices: readonly T[]): T {
    return pick(this.#random, choices);
  }
}
