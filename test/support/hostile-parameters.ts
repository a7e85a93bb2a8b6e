import { type HostileRequest, NO_TIME, type Ours, RANGE, TIME } from "./hostile-request.ts";

const TIMED_OUT: Ours = {
  status: 503,
  text: /"errorType":"timeout"/,
  why: "Prometheus says one of four things, whichever of its parts looks first",
};
function range(name: string, parameters: string, more: Partial<HostileRequest> = {}) {
  return { name, path: `query_range?query=up_total&${parameters}`, ...more };
}

const TIMES: readonly HostileRequest[] = [
  range("no range", ""),
  range("no start", "end=1700000600&step=60"),
  range("no end", "start=1700000000&step=60"),
  range("no step", "start=1700000000&end=1700000600"),
  range("an empty start", "start=&end=1700000600&step=60"),
  range("start after end", "start=1700000600&end=1700000000&step=60"),
  range("step zero", "start=1700000000&end=1700000600&step=0"),
  range("a negative step", "start=1700000000&end=1700000600&step=-1"),
  range("a step that is no number", "start=1700000000&end=1700000600&step=NaN"),
  range("an infinite step", "start=1700000000&end=1700000600&step=Inf"),
  range("a step beyond 64 bits", "start=1700000000&end=1700000600&step=1e30"),
  range("a step of words", "start=1700000000&end=1700000600&step=fast"),
  range("a step as duration", "start=1700000000&end=1700000600&step=1m"),
  range("a step without a unit of its own", "start=1700000000&end=1700000600&step=1m30"),
  range("a step below a millisecond", "start=1700000000&end=1700000000&step=0.0001", {
    ours: {
      status: 200,
      text: /values/,
      why: "rounded up to 1 ms, where Prometheus divides by zero",
    },
  }),
  range("a step below a millisecond of a range", "start=1700000000&end=1700000001&step=0.0004", {
    ours: {
      status: 200,
      text: /values/,
      why: "rounded up to 1 ms, where Prometheus divides by zero",
    },
  }),
  range("a step of half milliseconds", "start=1700000000&end=1700000001&step=0.2505"),
  range("1 ms over a year", "start=1668464000&end=1700000000&step=0.001"),
  range("1e9 points", "start=0&end=1000000000&step=1"),
  range("one point too many", "start=0&end=11001&step=1"),
  range("as many points as may be", "start=1700000000&end=1700011000&step=1"),
  range("times at the ends of 64 bits", "start=-9223372036854775&end=9223372036854775&step=1e15"),
  range("times beyond 64 bits", "start=0&end=1e300&step=1", {
    ours: { ...NO_TIME, text: /exceeded maximum resolution/ },
  }),
  range("times that are no number", "start=NaN&end=1700000600&step=60", {
    ours: { ...NO_TIME, text: /to a valid timestamp/ },
  }),
  range("infinite times", "start=-Inf&end=Inf&step=60", {
    ours: { ...NO_TIME, text: /to a valid timestamp/ },
  }),
  range("times of words", "start=yesterday&end=now&step=60"),
  range(
    "times as RFC 3339",
    "start=2023-11-14T22:13:20Z&end=2023-11-14T22:23:20.5%2B00:00&step=60",
  ),
  range("a day that is not", "start=2023-02-30T00:00:00Z&end=2023-11-14T22:23:20Z&step=60"),
  range("a date only", "start=2023-02-03&end=2023-11-14T22:23:20Z&step=60"),
  range("an hour that is not", "start=2023-02-03T25:00:00Z&end=2023-11-14T22:23:20Z&step=60"),
  range("hexadecimal times", "start=0x6553F100&end=1700000600&step=60"),
  range("times with underscores", "start=1_700_000_000&end=1700000600&step=60"),
  range("a query that is a range vector", `${RANGE}&query=x`, {
    path: `query_range?query=up_total[1m]&${RANGE}`,
  }),
  range("a query that is a string", RANGE, { path: `query_range?query=%22a%22&${RANGE}` }),
  range("no query", RANGE, { path: `query_range?${RANGE}` }),
  { name: "a bad time", path: "query?query=up_total&time=now" },
  { name: "an empty time", path: "query?query=1%2B&time=" },
  { name: "a time of spaces", path: "query?query=up_total&time=%20" },
  {
    name: "a time that is no number",
    path: "query?query=up_total&time=NaN",
    ours: { ...NO_TIME, text: /to a valid timestamp/ },
  },
  { name: "a time beyond 64 bits", path: "query?query=up_total&time=1e300" },
  { name: "the earliest time", path: "query?query=up_total&time=-292273086-05-16T16:47:06Z" },
  {
    name: "the latest time",
    path: "query?query=up_total&time=292277025-08-18T07:12:54.999999999Z",
  },
  { name: "a negative time", path: "query?query=vector(time())&time=-1.5" },
  { name: "a time of small fractions", path: "query?query=vector(time())&time=1700000000.0006" },
];

/** Timeouts that are over before the query begins. */
const NO_TIMEOUT = new Set(["-1", "0", "NaN"]);

/** Of results. The first is the last that 64 bits hold. */
const LIMITS = ["9223372036854775807", "9223372036854775808", "-9223372036854775808"].concat([
  "-1",
  "x",
  "1.5",
  "",
  "0",
  "1",
  "99999999999999999999",
  "+1",
  "1e3",
  "%201",
  "0x1",
]);

const OPTIONS: readonly HostileRequest[] = [
  ...LIMITS.flatMap((limit) => [
    { name: `limit ${limit} of a query`, path: `query?query=up_total&${TIME}&limit=${limit}` },
    {
      name: `limit ${limit} of a range`,
      path: `query_range?query=up_total&${RANGE}&limit=${limit}`,
    },
    { name: `limit ${limit} of labels`, path: `labels?limit=${limit}` },
    { name: `limit ${limit} of label values`, path: `label/job/values?limit=${limit}` },
    { name: `limit ${limit} of series`, path: `series?match[]=up_total&limit=${limit}` },
  ]),
  ...["x", "-1", "0", "NaN", "1e30", "", "1q", "10m", "1_0"].flatMap((duration) => [
    {
      name: `timeout ${duration}`,
      path: `query?query=up_total&${TIME}&timeout=${duration}`,
      ...(NO_TIMEOUT.has(duration) && { ours: TIMED_OUT }),
    },
    {
      name: `timeout ${duration} of a range`,
      path: `query_range?query=up_total&${RANGE}&timeout=${duration}`,
      ...(NO_TIMEOUT.has(duration) && { ours: TIMED_OUT }),
    },
    {
      name: `lookback_delta ${duration}`,
      path: `query?query=up_total&${TIME}&lookback_delta=${duration}`,
    },
    {
      name: `lookback_delta ${duration} of a range`,
      path: `query_range?query=up_total&${RANGE}&lookback_delta=${duration}`,
    },
  ]),
];

/** Parameters beside the query that are missing, wrong or at their edges. */
export const HOSTILE_PARAMETERS: Readonly<Record<string, readonly HostileRequest[]>> = {
  times: TIMES,
  "other parameters": OPTIONS,
};
