/** Random legal queries, grown from the grammar: the input of property and differential tests. */
import fc from "fast-check";

const name = fc.constantFrom("foo", "bar", "a:b:c", "sum", "offset", "by", "start", "step", "fill");
const label = fc.constantFrom("a", "job", "le", '"x.y"', "__name__x");
const duration = fc.constantFrom("5m", "1h30m", "300", "1.5", "1ms", "1y2w", "0x10");
const text = fc.oneof(
  fc.constantFrom('"x"', "'y\\n'", "`z\\`", '"\\u00e9\\x41"'),
  fc.string({ maxLength: 5 }).map((value) => JSON.stringify(value.replace(/[^ -~]/g, "é"))),
);
// Infinity stands in parentheses: Prometheus prints it with a sign, and signs bind less tightly than `^`.
const number = fc.oneof(
  fc.constantFrom("1", "0.5", "1e9", "1e-9", "(Inf)", "nan", "0x1F", "1_000", "5m", "1d12h"),
  fc.nat().map(String),
);

const labels = fc.array(label, { maxLength: 3 }).map((names) => `(${names.join(", ")})`);
const matcher = fc
  .tuple(label, fc.constantFrom("=", "!=", "=~", "!~"), text)
  .map(([key, operator, value]) =>
    // Random text is no regular expression, and one matcher must not match the empty value.
    operator.includes("~") ? `${key}${operator}"a.+|b"` : `${key}${operator}${value}`,
  );
const braces = fc.array(matcher, { maxLength: 3 }).map((list) => `{${list.join(",")}}`);
const modifiers = fc
  .tuple(
    fc.constantFrom("", "", " offset 5m", " offset -1h", " offset (step() * 2)", " offset 7"),
    fc.constantFrom("", "", " @ 1.5", " @ start()", " @ end()", " @ -100"),
    fc.boolean(),
  )
  .map(([offset, at, first]) => (first ? offset + at : at + offset));
const selector = fc
  .tuple(name, fc.option(braces, { nil: "" }))
  .map(([metric, list]) => (metric === "fill" && list === "" ? metric : metric + list));
const range = fc.oneof(
  duration,
  fc.constantFrom("step()", "5m + 1m * 2", "(1h / 3)", "max_of(step(), 5m) - 1", "range() / 2"),
);

const vectorFunction = fc.constantFrom(
  "abs",
  "ceil",
  "sort",
  "absent",
  "timestamp",
  "histogram_sum",
);
const rangeFunction = fc.constantFrom("rate", "max_over_time", "deriv", "mad_over_time");
const aggregator = fc.constantFrom("sum", "avg", "count", "group", "stddev");
const arithmetic = fc.constantFrom("+", "-", "*", "/", "%", "^", "atan2");
const comparison = fc.constantFrom("==", "!=", "<", "<=", ">", ">=");
const set = fc.constantFrom("and", "or", "unless");
const matching = fc
  .tuple(
    fc.constantFrom("on", "ignoring"),
    labels,
    fc.constantFrom("", " group_left", " group_right(z)", " group_left(z, w)"),
  )
  .map(([side, list, group]) => ` ${side}${list}${group}`);

const grammar = fc.letrec<{ vector: string; scalar: string; matrix: string }>((tie) => ({
  scalar: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    number,
    fc.constantFrom("time()", "pi()", "-1", "+2"),
    tie("scalar").map((inner) => `(${inner})`),
    tie("scalar").map((inner) => `-${inner}`),
    tie("vector").map((inner) => `scalar(${inner})`),
    fc
      .tuple(tie("scalar"), arithmetic, tie("scalar"))
      .map(([left, operator, right]) => `${left} ${operator} ${right}`),
    fc
      .tuple(tie("scalar"), comparison, tie("scalar"))
      .map(([left, operator, right]) => `(${left} ${operator} bool (${right}))`),
  ),
  matrix: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.tuple(selector, range, modifiers).map(([one, size, mods]) => `${one}[${size}]${mods}`),
    fc.tuple(selector, range).map(([one, size]) => `${one}[${size}] smoothed`),
    fc
      .tuple(tie("vector"), range, fc.option(duration, { nil: "" }), modifiers)
      .filter(([, size]) => !/^(?:step|range)/.test(size))
      .map(([inner, size, step, mods]) => `(${inner})[${size}:${step}]${mods}`),
  ),
  vector: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.tuple(selector, modifiers).map(([one, mods]) => one + mods),
    selector.map((one) => `${one} anchored`),
    tie("vector").map((inner) => `(${inner})`),
    tie("vector").map((inner) => `-(${inner})`),
    fc.tuple(vectorFunction, tie("vector")).map(([func, arg]) => `${func}(${arg})`),
    fc.tuple(rangeFunction, tie("matrix")).map(([func, arg]) => `${func}(${arg})`),
    tie("scalar").map((inner) => `vector(${inner})`),
    fc
      .tuple(tie("vector"), text, text)
      .map(([inner, a, b]) => `label_replace(${inner}, "dst", ${a}, "src", ${b})`),
    fc
      .tuple(aggregator, fc.constantFrom("", "by", "without"), labels, tie("vector"))
      .map(([func, word, list, arg]) => `${func}${word === "" ? "" : ` ${word} ${list}`} (${arg})`),
    fc
      .tuple(fc.constantFrom("topk", "quantile", "limitk"), tie("scalar"), tie("vector"), labels)
      .map(([func, first, arg, list]) => `${func}(${first}, ${arg}) by ${list}`),
    fc
      .tuple(tie("vector"), arithmetic, fc.option(matching, { nil: "" }), tie("vector"))
      .map(([left, operator, how, right]) => `(${left}) ${operator}${how} (${right})`)
      // `group_left (…)` reads the parenthesis as its labels.
      .map((query) => query.replace(/(group_left|group_right) \(/g, "$1() (")),
    fc
      .tuple(tie("vector"), comparison, fc.constantFrom("", " bool"), tie("scalar"))
      .map(([left, operator, bool, right]) => `${left} ${operator}${bool} ${right}`),
    fc
      .tuple(tie("vector"), set, fc.constantFrom("", " on(a)", " ignoring()"), tie("vector"))
      .map(([left, operator, how, right]) => `${left} ${operator}${how} ${right}`),
    fc
      .tuple(
        tie("vector"),
        fc.constantFrom("fill(1)", "fill_left(-Inf) fill_right(2)"),
        tie("vector"),
      )
      .map(([left, fill, right]) => `(${left}) + ${fill} (${right})`),
  ),
}));

/** Legal with every experimental part enabled. */
export const queries: fc.Arbitrary<string> = fc.oneof(
  { arbitrary: grammar.vector, weight: 6 },
  { arbitrary: grammar.scalar, weight: 2 },
  { arbitrary: grammar.matrix, weight: 2 },
  { arbitrary: text, weight: 1 },
);
