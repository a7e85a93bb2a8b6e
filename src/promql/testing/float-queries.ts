import { pick, type Random, randomInt } from "../../base/random.ts";

/** What the engine and a real Prometheus are both asked, by subject. */
const RANGE_FUNCTIONS = [
  "rate",
  "increase",
  "irate",
  "delta",
  "idelta",
  "deriv",
  "changes",
  "resets",
  "sum_over_time",
  "avg_over_time",
  "min_over_time",
  "max_over_time",
  "count_over_time",
  "last_over_time",
  "present_over_time",
  "stddev_over_time",
  "stdvar_over_time",
  "absent_over_time",
  "mad_over_time",
  "ts_of_max_over_time",
  "ts_of_min_over_time",
  "ts_of_last_over_time",
];

const AGGREGATIONS = ["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"];

const ELEMENT_FUNCTIONS = [
  "abs",
  "ceil",
  "floor",
  "sqrt",
  "sgn",
  "round",
  "deg",
  "rad",
  "minute",
  "hour",
  "day_of_week",
  "day_of_month",
  "day_of_year",
  "days_in_month",
  "month",
  "year",
  "timestamp",
];

/** Approximations, each of which has last bits of its own. */
const MATH_FUNCTIONS = [
  "exp",
  "ln",
  "log2",
  "log10",
  "sin",
  "cos",
  "tan",
  "asin",
  "acos",
  "atan",
  "sinh",
  "cosh",
  "tanh",
  "asinh",
  "acosh",
  "atanh",
];

const OPERATORS = ["+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">="];

export const QUERIES: Readonly<Record<string, readonly string[]>> = {
  selectors: [
    "requests_total",
    'requests_total{code="200"}',
    'requests_total{code!="200"}',
    'requests_total{code=~"2.*|5.*", instance!~"c.*"}',
    '{__name__=~"requests_total|errors_total", job="api"}',
    '{job="web", instance="a:80"}',
    "requests_total offset 5m",
    "requests_total offset -5m",
    "requests_total @ 1700000500",
    "requests_total @ 1700000500 offset 1m",
    "requests_total @ start()",
    "requests_total @ end()",
    "nonexistent",
    "lonely",
    "lonely offset 1m",
    "timestamp(lonely)",
    "timestamp(requests_total offset 1m)",
    "timestamp(requests_total @ 1700000500)",
    "timestamp(-requests_total)",
    "requests_total[1m]",
    'requests_total{job="api"}[5m:1m]',
    '{__name__=~".+"}',
  ],
  "range functions": [
    ...RANGE_FUNCTIONS.map((name) => `${name}(requests_total[5m])`),
    // Prometheus 3.5 has another idea of the median deviation of a window with NaN.
    ...RANGE_FUNCTIONS.filter((name) => name !== "mad_over_time").map(
      (name) => `${name}(temperature[7m])`,
    ),
    ...RANGE_FUNCTIONS.map((name) => `${name}(lonely[10m])`),
    ...RANGE_FUNCTIONS.map((name) => `${name}(huge[2m])`),
    "rate(requests_total[15s])",
    "rate(requests_total[16s])",
    "rate(requests_total[1h])",
    "rate(requests_total[5m] offset 10m)",
    "rate(requests_total[5m] @ 1700001000)",
    "rate(requests_total[5m] @ end())",
    "quantile_over_time(0.9, temperature[5m])",
    "quantile_over_time(0.5, size_bytes[5m])",
    "quantile_over_time(-1, size_bytes[5m])",
    "quantile_over_time(2, size_bytes[5m])",
    "quantile_over_time(NaN, size_bytes[5m])",
    "predict_linear(line[5m], 3600)",
    "predict_linear(requests_total[5m], 60)",
    "predict_linear(size_bytes[5m] @ 1700001000, 60)",
    "double_exponential_smoothing(size_bytes[5m], 0.3, 0.6)",
    "double_exponential_smoothing(size_bytes[5m], 1.3, 0.6)",
    "absent_over_time(nonexistent[5m])",
    'absent_over_time(nonexistent{job="x", instance=~"y", code="1", code="2"}[5m])',
    'rate({__name__=~"requests_total|errors_total", job="api", code!~"4.*"}[5m])',
    'last_over_time({__name__=~"requests_total|errors_total", job="api"}[5m])',
  ],
  subqueries: [
    "max_over_time(rate(requests_total[5m])[10m:1m])",
    "max_over_time(rate(requests_total[5m])[10m:])",
    "sum_over_time(sum(size_bytes)[5m:30s])",
    "avg_over_time((size_bytes > 3)[5m:15s])",
    "rate(requests_total[5m:15s])",
    "sum_over_time(size_bytes[5m:1m] offset 3m)",
    "sum_over_time(size_bytes[5m:1m] @ 1700001000)",
    "sum_over_time(size_bytes[5m:1m] @ 1700001000 offset 2m)",
    "sum_over_time((size_bytes @ 1700001000)[5m:1m])",
    "sum_over_time((size_bytes offset 1m)[5m:1m] offset 2m)",
    "max_over_time(sum_over_time(size_bytes[2m:30s])[5m:1m])",
    "min_over_time(time()[5m:1m])",
    "sum_over_time(vector(1)[5m:7s])",
    "count_over_time(lonely[5m:13s])",
    "absent_over_time(lonely[3m:20s])",
    "deriv(line[5m:17s])",
    "size_bytes[3m:1m]",
    "rate(sum by (job) (requests_total)[5m:30s])",
  ],
  aggregations: [
    ...AGGREGATIONS.flatMap((name) => [
      `${name}(requests_total)`,
      `${name} by (job) (requests_total)`,
      `${name} without (code, instance) (requests_total)`,
      `${name} by (job) (temperature)`,
      `${name}(huge)`,
      `${name} by (nothing) (size_bytes)`,
      `${name} by (job, instance) (rate(requests_total[5m]))`,
    ]),
    'sum by (__name__) ({job="api", instance="a:80"})',
    "sum by (__name__) (rate(requests_total[5m]))",
    "count without () (requests_total)",
    "quantile(0.9, temperature)",
    "quantile by (job) (0.25, size_bytes)",
    "quantile(1.5, size_bytes)",
    "quantile(-0.5, size_bytes)",
    "quantile(NaN, size_bytes)",
    "quantile(time() % 7 / 3, size_bytes)",
    "topk(3, requests_total)",
    "topk by (job) (2, requests_total)",
    "bottomk(3, temperature)",
    "bottomk by (job) (1, temperature)",
    "topk(2, temperature)",
    "topk(100, size_bytes)",
    "topk(0, size_bytes)",
    "topk(-3, size_bytes)",
    "topk(1e30, size_bytes)",
    "topk(-1e30, size_bytes)",
    "topk(time() % 4, requests_total)",
    "topk(1 + time() % 4, requests_total @ end())",
    'count_values("value", size_bytes)',
    'count_values by (job) ("value", size_bytes)',
    'count_values without (instance) ("value", size_bytes)',
    'count_values("job", temperature)',
    "limitk(2, requests_total)",
    "limitk by (job) (1, requests_total)",
    "limit_ratio(0.5, requests_total)",
    "limit_ratio(-0.5, requests_total)",
    "limit_ratio(1.5, requests_total)",
    "sum(sum by (job) (requests_total)) by (nothing)",
  ],
  "binary operators": [
    ...OPERATORS.flatMap((operator) => [
      `size_bytes ${operator} 3`,
      `3 ${operator} size_bytes`,
      `temperature ${operator} size_bytes`,
      `requests_total ${operator} on (job, instance) group_left errors_total`,
      `1 ${operator}${"=!<>".includes(operator[0]!) ? " bool" : ""} 2`,
    ]),
    "size_bytes > bool 3",
    "size_bytes == bool size_bytes",
    ...["-3", "-1.5", "-0.5", "0.5", "1.7", "2", "3", "17", "1e3"].map((y) => `temperature ^ ${y}`),
    ...["-2", "0.3", "2", "10", "1e9"].map((x) => `${x} ^ (temperature / 10)`),
    "2 ^ size_bytes",
    "(size_bytes + 0.1) ^ size_bytes",
    "(temperature ^ 2) ^ (size_bytes / 7)",
    "temperature atan2 size_bytes",
    "size_bytes atan2 -3",
    "size_bytes > 2 < 6",
    "size_bytes > temperature",
    "requests_total * on (job, instance) group_left (version) build_info",
    "build_info * on (job, instance) group_right (version) requests_total",
    "requests_total * ignoring (code) group_left errors_total",
    "requests_total / requests_total",
    "requests_total / errors_total",
    "requests_total + on (job) errors_total",
    "errors_total + on (job, instance) requests_total",
    "requests_total + on (job, instance) errors_total",
    "requests_total + on (job) group_left errors_total",
    "size_bytes + on (job, instance) group_left (job) (temperature)",
    "size_bytes == on (job, instance) group_right requests_total",
    'rate(errors_total[5m]) / rate(requests_total{code="200"}[5m])',
    'rate(errors_total[5m]) / ignoring (code) rate(requests_total{code="200"}[5m])',
    "sum by (job) (errors_total) / sum by (job) (requests_total)",
    "size_bytes and temperature",
    "size_bytes and on (job) temperature",
    "size_bytes and (temperature > 0)",
    "(size_bytes > 4) or temperature",
    "(size_bytes > 4) or on (job) temperature",
    "size_bytes or requests_total",
    "size_bytes unless (temperature > 0)",
    "size_bytes unless on (instance) lonely",
    "size_bytes unless nonexistent",
    "nonexistent or size_bytes",
    "size_bytes or size_bytes",
    "lonely or on () vector(1)",
    "-size_bytes",
    "-(-size_bytes)",
    "+size_bytes",
    '-{job="api",instance="a:80"}',
    '{job="api",instance="a:80"} * 2',
    '{job="api",instance="a:80"} > 2',
    "1 / 0",
    "-1 / 0",
    "0 / 0",
    "7 % -3",
    "-7 % 3",
    "5 % 0",
    "1 ^ NaN",
    "time() > bool 5",
    "(size_bytes > 3) * 2 + (size_bytes < 6)",
    "huge * 10",
    "scalar(lonely) + size_bytes",
  ],
  "element functions": [
    ...ELEMENT_FUNCTIONS.map((name) => `${name}(size_bytes)`),
    ...["abs", "ceil", "floor", "sqrt", "sgn", "round"].map((name) => `${name}(temperature)`),
    ...MATH_FUNCTIONS.flatMap((name) => [
      `${name}(temperature)`,
      `${name}(temperature / 1000)`,
      `${name}(size_bytes)`,
      `${name}(huge)`,
      `${name}(timestamp(size_bytes) ^ 3)`,
    ]),
    ...["-3", "0", "1", "2", "3", "6", "15", "100", "300"].map((y) => `log10(vector(10 ^ ${y}))`),
    "floor(log10(vector(1000)))",
    "exp(vector(709.5))",
    "ln(vector(5e-324))",
    ...["minute", "hour", "day_of_week", "month", "year", "day_of_year", "days_in_month"].map(
      (name) => `${name}()`,
    ),
    "year(vector(1709210096.7))",
    "day_of_month(vector(1709210096))",
    "days_in_month(vector(1709210096))",
    "day_of_year(vector(-1))",
    "hour(vector(-1))",
    "day_of_week(vector(-100000))",
    "round(temperature, 0.1)",
    "round(temperature, 7)",
    "round(size_bytes, 0)",
    "clamp(temperature, -10, 10)",
    "clamp(temperature, 10, -10)",
    "clamp_min(temperature, 0)",
    "clamp_max(temperature, 0)",
    "clamp_max(temperature, NaN)",
    'abs({job="api",instance="a:80"})',
    "scalar(lonely)",
    "scalar(size_bytes)",
    "scalar(nonexistent)",
    "vector(time())",
    "pi()",
    "time()",
    "absent(nonexistent)",
    "absent(size_bytes)",
    "absent(lonely)",
    'absent(nonexistent{job="x", instance="y", instance="z", code=~"2.."})',
    "absent(sum(nonexistent))",
    'absent(nonexistent{job="x"} offset 1m)',
    "42",
    "NaN",
    "1e100",
  ],
  labels: [
    'label_replace(size_bytes, "host", "$1", "instance", "(.*):.*")',
    'label_replace(size_bytes, "host", "$2", "instance", "(.*):(?P<port>.*)")',
    'label_replace(size_bytes, "host", "${port}-$1", "instance", "(.*):(?P<port>.*)")',
    'label_replace(size_bytes, "instance", "", "instance", ".*")',
    'label_replace(size_bytes, "host", "x", "instance", "nomatch")',
    'label_replace(size_bytes, "host", "x", "instance", "(")',
    'label_replace(size_bytes, "__name__", "renamed", "", "")',
    'label_replace(rate(requests_total[5m]), "__name__", "rate", "", "")',
    'label_join(size_bytes, "all", "-", "job", "instance", "nothing")',
    'label_join(size_bytes, "job", "")',
    'label_join(size_bytes, "", "-", "job")',
  ],
  histograms: [
    "histogram_quantile(0.9, latency_seconds_bucket)",
    "histogram_quantile(0.5, rate(latency_seconds_bucket[5m]))",
    "histogram_quantile(0.99, sum by (le) (rate(latency_seconds_bucket[5m])))",
    "histogram_quantile(0.9, sum by (le, job) (rate(latency_seconds_bucket[5m])))",
    "histogram_quantile(0, latency_seconds_bucket)",
    "histogram_quantile(1, latency_seconds_bucket)",
    "histogram_quantile(-0.1, latency_seconds_bucket)",
    "histogram_quantile(1.1, latency_seconds_bucket)",
    "histogram_quantile(NaN, latency_seconds_bucket)",
    'histogram_quantile(0.9, latency_seconds_bucket{le!="+Inf"})',
    'histogram_quantile(0.9, latency_seconds_bucket{le="+Inf"})',
    'histogram_quantile(scalar(size_bytes{job="api",instance="a:80"}) / 8, latency_seconds_bucket)',
    "histogram_count(size_bytes)",
    "histogram_sum(size_bytes)",
    "latency_seconds_sum / latency_seconds_count",
  ],
  // Only at one step: Prometheus 3.5 does not warn of it in range queries.
  sorting: [
    "sort(size_bytes @ 1700001000)",
    "sort_desc(temperature @ 1700001000)",
    'sort_by_label(size_bytes @ 1700001000, "instance")',
    'sort_by_label_desc(build_info @ 1700001000, "version")',
  ],
  errors: [
    "requests_total +",
    "rate(requests_total)",
    "sum(requests_total) by (",
    "unknown_function(1)",
    "requests_total{",
    "topk(requests_total)",
    '"text"',
    "requests_total[5m",
    "{}",
    "1 == 1",
    'count_values("", size_bytes)',
  ],
};

const SELECTORS = [
  "requests_total",
  'requests_total{code="200"}',
  'requests_total{job="api"}',
  "errors_total",
  "temperature",
  "size_bytes",
  'size_bytes{instance!="b:80"}',
  "build_info",
  "latency_seconds_count",
  '{__name__=~"errors_total|size_bytes"}',
  "lonely",
  "nonexistent",
];
const RANGES = ["30s", "1m", "97s", "5m", "17m"];
const OFFSETS = [
  "",
  "",
  "",
  " offset 2m",
  " offset -45s",
  " @ 1700001234",
  " @ end()",
  " @ start()",
];
const GROUPINGS = [
  "",
  "",
  "by (job)",
  "by (job, instance)",
  "without (code)",
  "without (instance, code)",
  "by (__name__)",
];

/** Random well-formed queries over the test data; one seed gives the same ones again. */
export class QueryGenerator {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  /** An instant vector expression, nested at most `depth` deep. */
  vector(depth: number): string {
    if (depth <= 0) return this.#selector();
    const inner = depth - 1;
    switch (randomInt(this.#random, 12)) {
      case 0:
      case 1:
        return this.#selector();
      case 2:
      case 3:
        return `${this.#pick(RANGE_FUNCTIONS.filter((name) => name !== "mad_over_time"))}(${this.#range(inner)})`;
      case 4:
      case 5:
        return `${this.#pick(AGGREGATIONS)} ${this.#pick(GROUPINGS)} (${this.vector(inner)})`;
      case 6:
        // Of a selector only: Prometheus hands on the results of most functions in random order, and here it counts.
        return `${this.#pick(["topk", "bottomk", "limitk"])} ${this.#pick(GROUPINGS)} (${this.#count()}, ${this.#selector()})`;
      case 7:
        return `quantile ${this.#pick(GROUPINGS)} (0.${randomInt(this.#random, 10)}, ${this.vector(inner)})`;
      case 8:
        return `(${this.vector(inner)} ${this.#pick(OPERATORS)} ${this.#scalar()})`;
      case 9:
        return this.#binary(inner);
      case 10:
        return this.calculation(inner, this.#selector());
      default:
        return `${this.#pick(ELEMENT_FUNCTIONS)}(${this.vector(inner)})`;
    }
  }

  /** Approximations of each element of `operand`: nothing is added up, so equal to the last bit. */
  calculation(depth: number, operand = this.#pick(SELECTORS)): string {
    if (depth < 0) return operand;
    const inner = this.calculation(depth - 1, operand);
    switch (randomInt(this.#random, 6)) {
      case 0:
        return `(${inner} ${this.#pick(["^", "^", "atan2"])} ${this.#number()})`;
      case 1:
        return `(${this.#number()} ${this.#pick(["^", "^", "atan2"])} ${inner})`;
      case 2:
        return `(${inner} ${this.#pick(["+", "-", "*", "/", "%"])} ${this.#number()})`;
      case 3:
        return `(${inner} ${this.#pick(["^", "atan2", "+", "*"])} ${operand})`;
      default:
        return `${this.#pick(MATH_FUNCTIONS)}(${inner})`;
    }
  }

  /** Whole, halves, of many digits, or the time. */
  #number(): string {
    const sign = this.#pick(["", "", "-"]);
    switch (randomInt(this.#random, 5)) {
      case 0:
        return `${sign}${randomInt(this.#random, 20)}`;
      case 1:
        return `${sign}${randomInt(this.#random, 20)}.5`;
      case 2:
        return `${sign}${this.#random.next() * 10 ** (randomInt(this.#random, 8) - 3)}`;
      case 3:
        return this.#pick(["1e-300", "1e-9", "1e9", "1e300", "Inf", "NaN", "0.1", "10", "1e3"]);
      default:
        return this.#pick(["time()", "(time() % 97)", "pi()", "(time() / 1e9)"]);
    }
  }

  #binary(depth: number): string {
    const left = this.vector(depth);
    const right = this.vector(depth);
    if (this.#random.next() < 0.3)
      return `(${left} ${this.#pick(["and", "or", "unless"])} ${this.#pick(["", "on (job)", "ignoring (code)"])} ${right})`;
    const matching = this.#pick([
      "",
      "on (job, instance)",
      "ignoring (code)",
      "on (job, instance) group_left ()",
      "on (job) group_right ()",
      "ignoring (code) group_left ()",
    ]);
    const operator = this.#pick(OPERATORS);
    const bool = "=!<>".includes(operator[0]!) && this.#random.next() < 0.4 ? " bool" : "";
    return `(${left} ${operator}${bool} ${matching} ${right})`;
  }

  #range(depth: number): string {
    const range = this.#pick(RANGES);
    const offset = this.#pick(OFFSETS);
    return depth > 0 && this.#random.next() < 0.4
      ? `(${this.vector(depth)})[${range}:${this.#pick(["", "15s", "40s", "1m"])}]${offset}`
      : `${this.#pick(SELECTORS)}[${range}]${offset}`;
  }

  #selector(): string {
    return `${this.#pick(SELECTORS)}${this.#pick(OFFSETS)}`;
  }

  /** Neither NaN nor sometimes below 1: Prometheus 3.5 complains in other words, and loses series, there. */
  #count(): string {
    return this.#pick(["0", "1", "2", "3.5", "1e3", "1 + time() % 5", "-1"]);
  }

  #scalar(): string {
    return this.#pick(["0", "1", "2", "3.5", "1e3", "time() % 5", "scalar(lonely)", "-1"]);
  }

  #pick<T>(choices: readonly T[]): T {
    return pick(this.#random, choices);
  }
}
