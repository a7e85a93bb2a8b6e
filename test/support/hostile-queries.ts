import { FORM, type HostileRequest, type Ours, RANGE, TIME } from "./hostile-request.ts";

const DEPTH_LIMIT: Ours = {
  status: 400,
  text: /expression is nested more than 1000 levels deep/,
  why: "a stack that overflows would end the process, and nobody writes more levels",
};
const NEWER_WORDS: Omit<Ours, "text"> = {
  status: 400,
  why: "the words of Prometheus 3.13 and later, whose language is ours",
};
const MEGABYTE = 1_000_000;
const DEPTH = 10_000;
const BOMB = 10_000;

/** A query by URL, whatever its characters. */
function ask(name: string, query: string, more: Partial<HostileRequest> = {}): HostileRequest {
  return { name, path: `query?${TIME}&query=${encodeURIComponent(query)}`, ...more };
}

/** A query that no URL has room for. */
function post(name: string, query: string, more: Partial<HostileRequest> = {}): HostileRequest {
  const body = `${TIME}&query=${encodeURIComponent(query)}`;
  return { name, method: "POST", path: "query", headers: FORM, body, ...more };
}

const LARGE: readonly HostileRequest[] = [
  post("a name of 1 MB", "a".repeat(MEGABYTE)),
  post("a string of 1 MB", `"${"é".repeat(MEGABYTE / 2)}"`),
  post("1 MB of sums", `1${"+1".repeat(MEGABYTE / 2)}`, { ours: { ...DEPTH_LIMIT, alone: true } }),
  post("1 MB of spaces", `${" ".repeat(MEGABYTE)}1`),
  post("1 MB of a comment", `1 # ${"x".repeat(MEGABYTE)}`),
  post("1 MB of matchers", `up_total{${'a!="b",'.repeat(MEGABYTE / 8)}}`),
  ask("a URL of 100 KB", `1${" ".repeat(33_000)}`),
  {
    name: "a query_range URL of 100 KB",
    path: `query_range?${RANGE}&query=1${"+1".repeat(50_000)}`,
  },
];

const DEEP: readonly HostileRequest[] = [
  post("deep parentheses", `${"(".repeat(DEPTH)}1${")".repeat(DEPTH)}`, { ours: DEPTH_LIMIT }),
  post("deep unclosed parentheses", "(".repeat(DEPTH), { ours: DEPTH_LIMIT }),
  post("deep minus", `${"-".repeat(DEPTH)}1`, { ours: DEPTH_LIMIT }),
  post("deep minus of a vector", `${"-".repeat(DEPTH)}up_total`, { ours: DEPTH_LIMIT }),
  post("deep plus and minus", `${"+-".repeat(DEPTH / 2)}up_total`, { ours: DEPTH_LIMIT }),
  post("deep functions", `${"abs(".repeat(DEPTH)}up_total${")".repeat(DEPTH)}`, {
    ours: { ...DEPTH_LIMIT, alone: true },
  }),
  post("deep unclosed functions", "abs(".repeat(DEPTH), { ours: DEPTH_LIMIT }),
  post("deep aggregations", `${"sum(".repeat(DEPTH)}up_total${")".repeat(DEPTH)}`, {
    ours: DEPTH_LIMIT,
  }),
  post("deep powers", `1${"^1".repeat(DEPTH)}`, { ours: { ...DEPTH_LIMIT, alone: true } }),
  post("deep subqueries", `up_total${"[1m:1m]".repeat(DEPTH)}`, { ours: DEPTH_LIMIT }),
  post("deep offsets", `up_total${" offset 1m".repeat(DEPTH)}`),
  post("deep braces", "{".repeat(DEPTH)),
  post("deep brackets", `up_total${"[".repeat(DEPTH)}`),
];

const CHARACTERS: readonly HostileRequest[] = [
  ask("a NUL byte", "\0"),
  ask("a NUL byte after a query", "up_total\0"),
  ask("a NUL byte in a string", '"a\0b"'),
  ask("a NUL byte in a matcher", 'up_total{job="a\0b"}'),
  ask("a NUL byte in a regular expression", 'up_total{job=~"a\0b"}'),
  { name: "bytes that are no UTF-8", path: `query?${TIME}&query=%FF%FE` },
  { name: "bytes that are no UTF-8 in a string", path: `query?${TIME}&query=%22%FF%22` },
  {
    name: "bytes that are no UTF-8 in a matcher",
    path: `query?${TIME}&query=up_total{job=%22%FF%22}`,
  },
  { name: "a lone surrogate as CESU-8", path: `query?${TIME}&query=%22%ED%A0%80%22` },
  { name: "half a character", path: `query?${TIME}&query=%22%E2%98%22` },
  { name: "broken percent escapes", path: `query?${TIME}&query=1%` },
  { name: "broken percent escapes in a name", path: `query?${TIME}&query=1&a%zz=1` },
  { name: "a semicolon among the parameters", path: `query?${TIME}&query=1;x=2` },
  ask("an escaped surrogate", '"\\uD800"'),
  ask("an escape beyond Unicode", '"\\U00110000"'),
  ask("an escape that is too short", '"\\x4"'),
  ask("an unknown escape", '"\\z"'),
  ask("octal escapes", '"\\377\\141"'),
  ask("an octal escape that is too large", '"\\400"'),
  ask("an unclosed string", '"abc'),
  ask("an unclosed raw string", "`abc"),
  ask("a line end in a string", '"a\nb"'),
  ask("a line end in a raw string", "`a\nb`"),
  ask("a byte order mark", "\uFEFFup_total"),
  ask("a no-break space", "up_total\u00A0+ 1"),
  ask("a name outside ASCII", "größe"),
  ask("a quoted name outside ASCII", '{"größe"}'),
  ask("an emoji", "🎉"),
];

const SYNTAX: readonly HostileRequest[] = [
  ask("nothing", ""),
  ask("spaces only", "   "),
  ask("a comment only", "# nothing"),
  ask("one parenthesis", "("),
  ask("three parentheses", "((("),
  ask("a closed parenthesis", ")"),
  ask("empty parentheses", "()"),
  ask("an empty selector", "{}"),
  ask("a selector that matches the empty value", '{job=~".*"}'),
  ask("two names", 'up_total{__name__="x"}'),
  ask("a missing operand", "up_total +"),
  ask("a missing operator", "up_total up_total"),
  ask("an unknown function", "nothing(up_total)"),
  ask("too few arguments", "rate()"),
  ask("too many arguments", "abs(up_total, up_total)"),
  ask("an argument of another type", "rate(up_total)"),
  ask("a string where a vector belongs", 'abs("x")'),
  ask("a string among operands", '"a" + 1'),
  ask("a range vector among operands", "up_total[1m] + 1"),
  ask("a range of a function", "abs(up_total)[1m]"),
  ask("an empty range", "up_total[]", {
    ours: { ...NEWER_WORDS, text: /unexpected .{1,2}\].{1,2} in subquery or range selector/ },
  }),
  ask("a range of zero", "rate(up_total[0s])"),
  ask("a negative range", "rate(up_total[-1m])"),
  ask("a range without a unit", "rate(up_total[300])"),
  ask("a range in a wrong unit", "rate(up_total[5q])"),
  ask("a range in the wrong order", "rate(up_total[1m1h])"),
  ask("a range beyond 64 bits", "rate(up_total[99999999y])"),
  ask("a subquery at steps below 1 ms", "max_over_time(up_total[1m:0.0009])", {
    ours: { status: 422, text: /steps below 1ms/, why: "Prometheus divides by zero" },
  }),
  ask("a subquery at steps below 1 ns", "count_over_time(up_total[1m:0.0000000001])"),
  ask("a subquery at steps of 1.9 ms", "count_over_time(up_total[1s:0.0019])"),
  {
    name: "a subquery at steps below 1 ms to be laid out",
    path: "format_query?query=up_total[1m:0.0009]",
  },
  ask("a subquery of step zero", "up_total[1m:0s]"),
  ask("a subquery of many steps", "max_over_time(up_total[100y:1ms])", {
    ours: {
      status: 422,
      text: /too many samples into memory/,
      why: "refused before it is begun",
      alone: true,
    },
  }),
  ask("an offset without a duration", "up_total offset", {
    ours: { ...NEWER_WORDS, text: /unexpected end of input in offset, expected number, duration/ },
  }),
  ask("an offset beyond 64 bits", "up_total offset 99999999y"),
  ask("@ without a time", "up_total @"),
  ask("@ an infinite time", "up_total @ Inf"),
  ask("@ not a number", "up_total @ NaN"),
  ask("@ a time beyond 64 bits", "up_total @ 1e30"),
  ask("@ another function", "up_total @ time()"),
  ask("bool between vectors of arithmetic", "up_total + bool up_total"),
  ask("a comparison of scalars without bool", "1 < 2"),
  ask("a set operation of scalars", "1 and 2"),
  ask("group_left of a set operation", "up_total and on(job) group_left up_total"),
  ask("grouping with scalars", "1 + on(job) up_total"),
  ask("labels on both sides of group_left", "up_total * on(job) group_left(job) up_total"),
  ask("an aggregation without its parameter", "topk(up_total)"),
  ask("topk of a string", 'topk("x", up_total)'),
  ask("topk of not a number", "topk(NaN, up_total)", {
    ours: { ...NEWER_WORDS, status: 422, text: /Parameter value is NaN/ },
  }),
  ask("topk of too large a number", "topk(1e300, up_total)"),
  ask("topk of infinity", "topk(Inf, up_total)"),
  ask("quantile outside its range", "quantile(2, up_total)"),
  ask("a bad label in by", "sum by (0) (up_total)"),
  ask("count_values of a bad label", 'count_values("", up_total)'),
  ask("label_replace into a bad label", 'label_replace(up_total, "", "x", "job", "(.*)")'),
  ask("label_replace into a label of no UTF-8", 'label_replace(up_total, "\\xff", "", "", "")'),
  ask("label_replace with a bad expression", 'label_replace(up_total, "x", "$1", "job", "(")'),
  ask("label_replace into equal labels", 'label_replace(up_total, "i", "x", "", "")'),
  ask("label_join into a bad label", 'label_join(up_total, "", ",", "job")'),
  ask("several matches of one element", "up_total + on(job) up_total", {
    upTo: "hand-side of the operation",
  }),
  ask("a regular expression that is none", 'up_total{job=~"("}'),
  ask("a repetition beyond what is allowed", 'up_total{job=~"a{1001}"}'),
  ask("a look-ahead", 'up_total{job=~"(?=a)"}'),
  ask("a back reference", 'up_total{job=~"(a)\\\\1"}'),
  ask("a matcher without a value", "up_total{job=}"),
  ask("a matcher without a quote", "up_total{job=a}"),
  ask("a matcher that is a number", "up_total{job=1}"),
  ask("a label that starts with a digit", 'up_total{0a="b"}'),
  ask("a lone comma", "up_total{,}"),
  ask("a keyword as metric", "by"),
  ask("a keyword as function", "offset(up_total)"),
  ask("an experimental function", 'sort_by_label(up_total, "job")'),
  ask("an experimental aggregation", "limitk(1, up_total)"),
];

const NUMBERS: readonly HostileRequest[] = [
  "1e309",
  "-1e309",
  "1e-400",
  "4.9e-324",
  "0x",
  "0x1F",
  "0xFFFFFFFFFFFFFFFFF",
  "0x8000000000000000",
  "-0",
  "1/-0",
  "NaN",
  "nan",
  "-NaN",
  "+Inf",
  "inf",
  "-inf",
  "1_000",
  "1__0",
  "010",
  "08",
  "0b1",
  "0o7",
  "1.",
  ".5",
  ".",
  "1e",
  "1e+",
  "1.2.3",
  "1i",
  "9007199254740993",
  "123456789012345678901234567890",
  "1e1e1",
  "5m",
  "1h30m",
  "1ms",
  "Inf - Inf",
  "0 / 0",
  "1 % 0",
].map((text) => ask(`the number ${text}`, text));

const BOMBS: readonly HostileRequest[] = [
  ...[
    "\\Qa",
    "\\Qa.*",
    ".*\\Qb",
    "(\\Qa)",
    "\\Q",
    "\\Qa\\",
    "\\Qx\\Ea|\\Qb",
    "[\\Qa",
    "\\\\Qa",
  ].flatMap((pattern) => [
    ask(`${pattern}, quoted to its end`, `count(up_total{job=~${JSON.stringify(pattern)}})`),
    ask(`not ${pattern}, quoted to its end`, `count(up_total{job!~${JSON.stringify(pattern)}})`),
  ]),
  ask("label_replace, quoted to its end", 'label_replace(up_total, "x", "$1", "job", "(a)\\\\Qb")'),
  post("alternatives of 10 KB", `count(up_total{text=~"${"(a|b|ab)*".repeat(BOMB / 10)}c"})`),
  post("nested repetitions", `count(up_total{text=~"(((a*)*)*)*b"})`),
  post(
    "optional parts before as many",
    `count(up_total{text=~"${"a?".repeat(BOMB / 4)}${"a".repeat(BOMB / 2)}"})`,
  ),
  post("as many wildcards", `count(up_total{text=~"${"(.*a)".repeat(BOMB / 6)}"})`, {
    ours: { status: 200, text: /success/, why: "linear, as it should be there", alone: true },
  }),
  post("an expression of 100 KB", `up_total{text=~"${"[ab]x".repeat(BOMB * 2)}"}`, {
    ours: {
      status: 400,
      text: /expression too large/,
      why: "compiling it would keep others waiting",
    },
  }),
  post(
    "label_replace of 1 KB",
    `count(label_replace(up_total, "x", "$1", "text", "${"(a|b|ab)*".repeat(100)}c"))`,
  ),
  ...["query?query=", "series?match[]=", "labels?match[]=", "label/job/values?match[]="].map(
    (path): HostileRequest => ({
      name: `${path} and an expression of very many repetitions`,
      path: `${path}up_total{text=~"${"(ab|c){0,99}".repeat(800)}"}&${TIME}`,
      ours: {
        status: 422,
        text: /"error":"cannot hold a regular expression of 9600 characters against a text of 10001: /,
        why: "it would keep others waiting",
        alone: true,
      },
    }),
  ),
  {
    name: "series of an expression of 10 KB",
    method: "POST",
    path: "series",
    headers: FORM,
    body: `match[]=${encodeURIComponent(`{text=~"${"(a|aa)+".repeat(BOMB / 8)}$"}`)}`,
  },
];

/** Queries that are large, deep, broken or strange. */
export const HOSTILE_QUERIES: Readonly<Record<string, readonly HostileRequest[]>> = {
  large: LARGE,
  deep: DEEP,
  characters: CHARACTERS,
  syntax: SYNTAX,
  numbers: NUMBERS,
  "regular expressions": BOMBS,
};
