import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { RE2JS } from "re2js";
import { AppError } from "../base/errors.ts";
import { parseShape } from "./regex-shape.ts";
import {
  compileAnchored,
  compileRelabelRegex,
  CAPTURE_MAX_WORK,
  expandTemplate,
  type AnchoredRegex,
} from "./regex.ts";

test("a pattern matches the whole text, and a dot matches a newline", () => {
  const f = (source: string, text: string, want: boolean): void =>
    assert.equal(compileAnchored(source).matches(text), want, `${source} on ${text}`);
  f("foo", "foo", true);
  f("foo", "foobar", false);
  f("foo", "xfoo", false);
  f("foo.*", "foo\nbar", true);
  f("foo.*", "fo", false);
  f("foo.+", "foo", false);
  f("foo.+", "foo\u{1f600}", true);
  f(".*foo", "a foo", true);
  f(".*foo", "foo a", false);
  f(".*foo.*", "a foo b", true);
  f(".+foo.+", "afoob", true);
  f(".+foo.+", "foob", false);
  f(".+foo.+", "foofoob", true);
  f("ab.*ba", "aba", false);
  f("ab.*ba", "abba", true);
  f("a|b|", "", true);
  f("a|b|", "c", false);
  f("(a|b|c)", "b", true);
  f("foo(bar|baz)", "foobaz", true);
  f("foo(?:bar|.*baz)qux", "foo--bazqux", true);
  f("10\\.0\\.0\\.1", "10.0.0.1", true);
  f("10\\.0\\.0\\.1", "10a0.0.1", false);
  f("(?i)foo", "FOO", true);
  f("[a-c]+", "abc", true);
  f("[a-c]+", "abcd", false);
  f("", "", true);
  f("", "x", false);
  f("x{2}", "xx", true);
  f("a.c", "a\u{1f600}c", true);
  f("^foo$", "foo", true);
  f("(?P<n>a)(?P<n>b)", "ab", true);
  // Unicode is Go's: 15.0, and what came later is no letter.
  f("\\p{Lu}", "\u1c88", false);
  f("\\p{Lu}", "\u1c89", false);
  f("\\p{uppercase-letter}\\p{Old_Italic}\\PL", "A\u{10300}\u1c89", true);
});

test("a finite pattern has a set, any other has none", () => {
  assert.deepEqual(compileAnchored("a|b|c").set, ["a", "b", "c"]);
  assert.deepEqual(compileAnchored("a|a").set, ["a"]);
  assert.deepEqual(compileAnchored("(a|b)(c|d)").set, ["ac", "ad", "bc", "bd"]);
  assert.deepEqual(compileAnchored("x\\.y").set, ["x.y"]);
  assert.equal(compileAnchored("a.*").set, undefined);
  assert.equal(compileAnchored("[ab]").set, undefined);
});

test("wrong syntax is refused in Prometheus's words", () => {
  const f = (source: string, want: string): void =>
    assert.throws(
      () => compileAnchored(source),
      (error: unknown) =>
        error instanceof AppError && error.code === "bad-data" && error.message === want,
      source,
    );
  f("(abc", "error parsing regexp: missing closing ): `(abc`");
  f("a)(b", "error parsing regexp: unexpected ): `a)(b`");
  f("abc)", "error parsing regexp: unexpected ): `abc)`");
  f("[a", "error parsing regexp: missing closing ]: `[a`");
  f("a**", "error parsing regexp: invalid nested repetition operator: `**`");
  f(".**", "error parsing regexp: invalid nested repetition operator: `**`");
  f("*a", "error parsing regexp: missing argument to repetition operator: `*`");
  f("[z-a]", "error parsing regexp: invalid character class range: `z-a`");
  f("(?P<n", "error parsing regexp: invalid named capture: `(?P<n`");
  f("a{1001}", "error parsing regexp: invalid repeat count: `{1001}`");
  f("\\8", "error parsing regexp: invalid escape sequence: `\\8`");
  f("\\", "error parsing regexp: trailing backslash at end of expression: ``");
  f("(?=a)", "error parsing regexp: invalid or unsupported Perl syntax: `(?=`");
  f("a|*", "error parsing regexp: missing argument to repetition operator: `*`");
  f("(?i)+?", "error parsing regexp: missing argument to repetition operator: `+?`");
  f("a{2}{3}?", "error parsing regexp: invalid nested repetition operator: `{2}{3}?`");
  f("a*{2,1}", "error parsing regexp: invalid repeat count: `{2,1}`");
  f("ab[^]", "error parsing regexp: missing closing ]: `[^]`");
  f("(b[a-", "error parsing regexp: missing closing ]: `[a-`");
  f("a[[:foo:]]", "error parsing regexp: invalid character class range: `[:foo:]`");
  f("a\\Q(b", "error parsing regexp: missing closing ): `^(?s:a\\Q(b)$`");
  const large = "(ab|c){1000}".repeat(700);
  f(large, `error parsing regexp: expression too large: \`${large}\``);
  const deep = `${"(".repeat(1001)}a${")".repeat(1001)}`;
  f(deep, `error parsing regexp: expression nests too deeply: \`${deep}\``);
});

test("a pattern that is too long for the engine is refused", () => {
  const pattern = (length: number): string => `[ab]${"c".repeat(length - 4)}`;
  assert.equal(compileAnchored(pattern(65_536)).matches(`a${"c".repeat(65_532)}`), true);
  for (const compile of [compileAnchored, compileRelabelRegex])
    assert.throws(() => compile(pattern(70_000)), {
      code: "bad-data",
      message: /^error parsing regexp: expression too large: 70000 characters, the limit is 65536/,
    });
  // Literals and wildcards need no engine, however many hosts a dashboard lists.
  const hosts = Array.from({ length: 20_000 }, (_, i) => `host-${i}\\.example`);
  assert.equal(compileAnchored(hosts.join("|")).matches("host-19999.example"), true);
  assert.equal(compileAnchored(`(${hosts.join("|")}):9100`).matches("host-7.example:9100"), true);
  assert.equal(compileAnchored(`(${hosts.join("|")}):9100`).matches("host-7.example:9101"), false);
  assert.throws(() => compileAnchored(`(${hosts.join("|")})${"\\.".repeat(100)}`), {
    message: /expression too large/,
  });
  assert.equal(compileAnchored(`${"c".repeat(100_000)}.*`).matches("c".repeat(100_001)), true);
});

test("a relabelling pattern is checked with its anchors on", () => {
  assert.throws(() => compileRelabelRegex("(abc"), {
    message: "error parsing regexp: missing closing ): `^(?s:(abc)$`",
  });
  assert.equal(compileRelabelRegex("a)(b").matches("ab"), true);
});

test("groups of a full match", () => {
  assert.deepEqual(compileAnchored("(.*)").groups("x y"), ["x y", "x y"]);
  assert.deepEqual(compileAnchored("(a|b)(.*)").groups("bcd"), ["bcd", "b", "cd"]);
  assert.deepEqual(compileAnchored("(a)|(b)").groups("b"), ["b", "", "b"]);
  assert.deepEqual(compileAnchored("([^:]+)(?::\\d+)?").groups("h:80"), ["h:80", "h"]);
  assert.deepEqual(compileAnchored("a.*").groups("ab"), ["ab"]);
  assert.equal(compileAnchored("(a).*").groups("b"), undefined);
});

test("a template is expanded as Go does", () => {
  const f = (source: string, template: string, text: string, want: string | undefined): void =>
    assert.equal(compileAnchored(source).expand(text, template), want, template);
  f("(.*)", "$1", "v", "v");
  f("(.*)", "${1}x", "v", "vx");
  f("(.*)", "$1x", "v", "");
  f("(.*)", "$0-$1", "v", "v-v");
  f("(.*)", "$$1", "v", "$1");
  f("(.*)", "$", "v", "$");
  f("(.*)", "a$-", "v", "a$-");
  f("(.*)", "${1", "v", "${1");
  f("(.*)", "${}", "v", "${}");
  f("(.*)", "$01", "v", "");
  f("(.*)", "$2", "v", "");
  f("(.*)", "$1é", "v", "");
  f("(?P<host>[a-z]+):(?P<port>\\d+)", "${port}/$host", "h:80", "80/h");
  f("(?P<host>[a-z]+)", "$__proto__", "h", "");
  f("a", "x", "b", undefined);
  f("[a]", "x", "b", undefined);
  assert.equal(
    expandTemplate("$a$b", (name) => `<${name}>`),
    "<a><b>",
  );
});

test("a pattern that backtracks elsewhere is linear here", () => {
  const regex = compileAnchored("(a+)+b?[c]");
  assert.equal(regex.matches("a".repeat(5000)), false);
});

test("remembered verdicts stay bounded and right", () => {
  const regex = compileAnchored("x[0-9]+");
  for (let i = 0; i < 10_000; i++) {
    assert.equal(regex.matches(`x${i}`), true);
    assert.equal(regex.matches(`y${i}`), false);
  }
  assert.equal(regex.matches("x1"), true);
});

test("property: without the engine the verdict is the engine's", () => {
  const piece = fc.constantFrom(
    "a",
    "b",
    "ab",
    ".*",
    ".+",
    "(a|b)",
    "(?:a|b.*|)",
    "\\.",
    "|",
    "\u{1f600}",
    "(.*)",
    "((a|b)|.+c)",
  );
  const source = fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join(""));
  const text = fc
    .array(fc.constantFrom("a", "b", "c", ".", "\n", "\u{1f600}"), { maxLength: 8 })
    .map((parts) => parts.join(""));
  let shaped = 0;
  fc.assert(
    fc.property(source, fc.array(text, { minLength: 1, maxLength: 8 }), (pattern, texts) => {
      if (parseShape(pattern) !== undefined) shaped++;
      const engine = RE2JS.compile(`^(?s:${pattern})$`);
      const regex: AnchoredRegex = compileAnchored(pattern);
      for (const candidate of texts) {
        assert.equal(regex.matches(candidate), engine.testExact(candidate));
        const matcher = engine.matcher(candidate);
        const want = matcher.matches()
          ? Array.from({ length: matcher.groupCount() + 1 }, (_, i) => matcher.group(i) ?? "")
          : undefined;
        assert.deepEqual(regex.groups(candidate), want);
      }
    }),
    { numRuns: 600 },
  );
  assert.ok(shaped > 300, "most of these patterns need no engine");
});

test("a query's long pattern does not look for groups in a long text for minutes", () => {
  const text = "a".repeat(10_000);
  const refused = {
    code: "execution",
    message:
      /^cannot find the groups of a regular expression of 9996 characters in a text of 10000: multiplied they are above the limit of 10000000\. Use/,
  };
  const regex = compileAnchored("(a|aa)+".repeat(1428));
  assert.throws(() => regex.groups(text), refused);
  assert.throws(() => regex.expand(text, "$1"), refused);
  assert.equal(regex.expand("aaa", "$1"), undefined);
  // Literals and wildcards need no engine, but their groups do.
  const shaped = compileAnchored(`a(.*)${"a".repeat(8000)}`);
  assert.equal(shaped.matches(text), true);
  assert.throws(() => shaped.groups(text), { code: "execution" });
  assert.equal(shaped.groups("b".repeat(10_000)), undefined);
});

test("as much as the limit is looked for, and all that a relabelling rule asks", () => {
  const pattern = `${"[ab]".repeat(1000)}c*`;
  const most = "a".repeat(1000).padEnd(Math.floor(CAPTURE_MAX_WORK / pattern.length), "c");
  assert.deepEqual(compileAnchored(pattern).groups(most), [most]);
  assert.throws(() => compileAnchored(pattern).groups(`${most}c`), { code: "execution" });
  assert.deepEqual(compileRelabelRegex(pattern).groups(`${most}c`), [`${most}c`]);
  // The engine is not asked about what does not match.
  assert.equal(compileAnchored(pattern).groups(`${most}cd`), undefined);
});
