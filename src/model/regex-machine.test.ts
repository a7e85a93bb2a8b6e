import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { RE2JS } from "re2js";
import { RegexKernel } from "./regex-kernel.ts";
import { compileAnchored, compileRelabelRegex } from "./regex.ts";
import { RegexTest, PLACES_MAX } from "./regex-test.ts";
import { regexBombs } from "./testdata/regex-bombs.ts";

const ATOMS = [
  "a b 1 - ü . [ab] [^a] [a-c1] [^\\d-] [-a] []a] [^]a] [a\\-c] [\\x00-\\x{10FFFF}] [b-a] [[:alpha:]]",
  "[[:^alpha:]b] [\\pL1] [^\\pL] \\PL \\p{Greek} \\p{^Lu} \\d \\W \\s \\. \\n \\x61 \\141 \\8 \\Qa*\\E \\Q\\E",
  "x{1,2 {01} ^ $ \\b \\B \\A \\z (?m) (?m:^a$) (?-s) (?s-i:.) () (?U)a (?i) (?i:ſk) (?i:[^k]) (?i:\\W)",
  "(?i:σ) (?P<n>a) (?<m>b) a{1001} \u{1F600} \n",
].flatMap((line) => line.split(" "));
const REPETITIONS = [
  "",
  "",
  "",
  "",
  ..."* + ? *? +? ** {2} {1,3} {2,} {0} {0,1}? {3} {0,2} {1,} {10} {2,8}".split(" "),
];
const pattern = fc.letrec<{ node: string; atom: string }>((tie) => ({
  atom: fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...ATOMS) },
    { weight: 2, arbitrary: fc.constantFrom("a", "b", "[ab]", ".") },
    {
      weight: 3,
      arbitrary: fc
        .tuple(fc.constantFrom("(", "(?:", "(?i:"), tie("node"))
        .map(([open, inside]) => `${open}${inside})`),
    },
  ),
  node: fc
    .array(
      fc
        .array(fc.tuple(tie("atom"), fc.constantFrom(...REPETITIONS)), { maxLength: 4 })
        .map((parts) => parts.flat().join("")),
      { minLength: 1, maxLength: 3 },
    )
    .map((branches) => branches.join("|")),
})).node;
const text = fc.oneof(
  fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 12 }),
  fc.string({ unit: fc.constantFrom(...Array.from("abck1-\nüſKσςΣ_ \u{1F600}")), maxLength: 9 }),
);

/** The engine's own word, or undefined when the pattern is wrong. */
function engineOf(source: string): RE2JS | undefined {
  try {
    RE2JS.compile(source, RE2JS.DOTALL);
    return RE2JS.compile(`^(?s:${source})$`);
  } catch {
    return undefined;
  }
}

/** Go takes several groups of one name, which the engine does not. */
const NAMED_TWICE = /<(.)>.*<\1>/s;

/** Holds patterns against texts; how many answers there were, and how many of them yes. */
function compare(
  sources: fc.Arbitrary<string>,
  numRuns: number,
): { told: number; matched: number } {
  let [told, matched] = [0, 0];
  fc.assert(
    fc.property(sources, fc.array(text, { minLength: 1, maxLength: 8 }), (source, texts) => {
      const ours = RegexTest.of(source);
      if (ours === undefined) return;
      const engine = engineOf(source);
      if (engine === undefined && NAMED_TWICE.test(source)) return;
      assert.ok(engine !== undefined, `the engine refuses ${source}`);
      for (const one of texts) {
        const want = engine.testExact(one);
        assert.equal(ours.matches(one), want, `${source} on ${JSON.stringify(one)}`);
        told++;
        if (want) matched++;
      }
    }),
    { numRuns },
  );
  return { told, matched };
}

describe("the machine of clusters", () => {
  it("answers as the engine does", () => {
    const { told, matched } = compare(pattern, 4000);
    assert.ok(told > 5000 && matched > 500, `${told} were told, ${matched} matched`);
  });

  it("answers as the engine does with clusters in clusters", () => {
    const large = fc
      .array(pattern, { minLength: 20, maxLength: 40 })
      .map((parts) => `(?:${parts.filter((part) => engineOf(part)).join(")?(?:")})*`);
    const { told, matched } = compare(large, 150);
    assert.ok(told > 300 && matched > 30, `${told} were told, ${matched} matched`);
  });

  it("answers as the engine does with counters", () => {
    const counted = fc
      .tuple(
        fc.constantFrom("a", "[ab]", ".", "[^c]", "(?i:k)"),
        fc.constantFrom("{3,64}", "{0,65}", "{2,}", "{70,}", "{64}", "*"),
      )
      .map((parts) => parts.join(""));
    const sources = fc
      .tuple(
        fc.array(fc.oneof(counted, fc.constantFrom("a", "b?", "(?:b[ab]{2,70}c?)+")), {
          maxLength: 6,
        }),
      )
      // What follows makes it large enough for counters.
      .map(([parts]) => `(?:${parts.join("")})(?:(?:xy){500}(?:xy){500}(?:xy){500})?`);
    let [told, matched] = [0, 0];
    const long = fc.string({
      unit: fc.constantFrom("a", "a", "a", "b", "c"),
      minLength: 50,
      maxLength: 200,
    });
    const same = fc.integer({ min: 0, max: 200 }).map((count) => "a".repeat(count));
    fc.assert(
      fc.property(
        sources,
        fc.array(fc.oneof(long, same), { minLength: 3, maxLength: 6 }),
        (source, texts) => {
          const ours = RegexTest.of(source)!;
          const engine = engineOf(source)!;
          for (const one of texts) {
            const want = engine.testExact(one);
            assert.equal(ours.matches(one), want, `${source} on ${one}`);
            told++;
            if (want) matched++;
          }
        },
      ),
      { numRuns: 150 },
    );
    assert.ok(told > 400 && matched > 40, `${told} were told, ${matched} matched`);
  });

  it("stays right with more states than it keeps", () => {
    // The state knows the last eleven characters: 2,048 states.
    const source = "(a|b)*a(a|b){10}c?";
    const ours = RegexTest.of(source)!;
    for (let i = 0; i < 5000; i++) {
      const one = i.toString(2).replaceAll("0", "a").replaceAll("1", "b").repeat(2);
      assert.equal(ours.matches(one), one.length > 10 && one.at(-11) === "a", one);
    }
  });
});

it("stays right when more patterns are asked than are kept", () => {
  const count = 8000;
  const all = Array.from({ length: count }, (_, i) => RegexTest.of(`pod-${i}-[a-z]+(b|c)*\\d`)!);
  for (const i of [0, 1, count / 2, count - 1, 0]) {
    assert.equal(all[i]!.matches(`pod-${i}-abc1`), true);
    assert.equal(all[i]!.matches(`pod-${i + 1}-abc1`), false);
  }
});

describe("syntax trees", () => {
  const isSame = (a: string, b: string): boolean => {
    const [one, other] = RegexKernel.shared().trees(a, b);
    assert.notEqual(one, 0, a);
    return one === other;
  };
  const f = (source: string, want: string): void =>
    assert.ok(isSame(source, want), `${source} is not ${want}`);

  it("are made as plain as their language is", () => {
    f("(a|aa)+", "a+");
    f("((a*)+)?", "a*");
    f("(a?){3}a{3}", "a{3,6}");
    f("(a|aa)+(a|aa)+", "a{2,}");
    f("(a*b*)+", "[ab]*");
    f("([ab]*c?)*", "[a-c]*");
    f("(a|b|a)", "[ab]");
    f("(ab|ab)c", "abc");
    f("a?a*", "a*");
    f("a?.*b?", ".*");
    f("(a{2}){3}", "a{6}");
    f("(a{2,3}){4,5}", "a{8,15}");
    f("(a{0,3}){4}", "a{0,12}");
    f("(a|b*)+", "[ab]*");
    f("(\\b\\b)*\\B+", "\\B");
    f("a|[^\\x00-\\x{10FFFF}]", "a");
  });

  it("stay apart where their languages are", () => {
    assert.ok(!isSame("(a{2}){0,3}", "a{0,6}"));
    assert.ok(!isSame("(a{3}){1,2}", "a{3,6}"));
    assert.ok(!isSame("(ab)*", "a*b*"));
    assert.ok(!isSame("a*b?", "a*"));
  });

  it("know how long texts are", () => {
    const sizes = (source: string): unknown => {
      const { minLength, maxLength, places } = RegexKernel.shared().compile(source)!.facts;
      return [minLength, maxLength, places];
    };
    assert.deepEqual(sizes("a(b|cd)?e{2,4}"), [3, 7, 8]);
    assert.deepEqual(sizes("a+\\b"), [1, Infinity, 1]);
  });
});

it("characters that differ in case only are those of the engine", () => {
  // The engine's Unicode is newer than Go's; of these Go says that they are the same as no other.
  const newer = [0x390, 0x3b0, 0x1fd3, 0x1fe3, 0xfb05, 0xfb06, 0x19b, 0x264, 0x1c89, 0x1c8a];
  for (let code = 0xa7cb; code <= 0xa7dc; code++)
    if (!/[\ua7d0\ua7d1\ua7d6-\ua7d9]/.test(String.fromCharCode(code))) newer.push(code);
  const codes = Array.from({ length: 0x1_f000 }, (_, code) => code).filter((code) => {
    if ((code >= 0xd800 && code < 0xe000) || newer.includes(code)) return false;
    // Scripts that are newer.
    if ((code >= 0x10d50 && code < 0x10d90) || (code >= 0x16ea0 && code < 0x16ee0)) return false;
    const one = String.fromCodePoint(code);
    return one.toLowerCase() !== one || one.toUpperCase() !== one || code % 997 === 0;
  });
  const others = (code: number): number[] => {
    const one = String.fromCodePoint(code);
    const cases = [one.toLowerCase(), one.toUpperCase()].map((text) => text.codePointAt(0)!);
    return [...cases, code + 1, code - 1, code + 32, code - 32].filter(
      (other) => other >= 0 && other <= 0x10ffff && (other < 0xd800 || other >= 0xe000),
    );
  };
  const ask = (code: number): RegexTest => RegexTest.of(`(?i)[\\x{${code.toString(16)}}]`)!;
  for (const code of newer)
    for (const other of others(code))
      assert.equal(ask(code).matches(String.fromCodePoint(other)), other === code);
  assert.ok(codes.length > 2500);
  for (const code of codes) {
    const engine = RE2JS.compile(`(?i)[\\x{${code.toString(16)}}]`);
    const ours = ask(code);
    for (const other of others(code)) {
      if (newer.includes(other)) continue;
      const text = String.fromCodePoint(other);
      assert.equal(ours.matches(text), engine.testExact(text), `${code.toString(16)} and ${text}`);
    }
  }
});

describe("bombs", () => {
  /** What Go's regexp says, where it does so within minutes; of the others it is known how they are refused. */
  const refused: Readonly<Record<string, RegExp>> = {
    "counted, nested":
      /^cannot hold a regular expression of 9994 characters against a text of 10000/,
    "counted groups": /^error parsing regexp: expression too large/,
    "counted groups at least": /^error parsing regexp: expression too large/,
    "wrong at its end": /^error parsing regexp: unexpected \): /,
    "wrong where it starts": /^error parsing regexp: missing closing \): /,
    "more moves than there may be":
      /^cannot hold a regular expression of 1648 characters against a text of 10000: .* too large \(30591; /,
    "counted groups that overlap": /^cannot hold .* too large \(198468; the limits are 32768, /,
  };
  const matching = new Set([
    "any characters, counted",
    "any characters, counted, half of it",
    "as many moves as there may be",
    "counters that come and go",
    "ranges, and as many characters",
    "(a|aa)+ many times",
    "(a|aa)+ many times, of noise",
    "a? and as many a",
    "(.*a){n}",
    "([ab]*c?)*",
    "a tree of repetitions",
    "the last 1000",
    "counted, entered now and then",
    "many classes",
    "many short words, several times",
    "words, case-insensitive",
    "case-insensitive classes",
    "characters of three bytes",
    "anchors",
    "nothing but groups",
    "literals",
    "any one of two",
  ]);
  for (const { name, pattern: source, text: value } of regexBombs())
    it(name, () => {
      const ask = (): boolean => compileAnchored(source).matches(value);
      const message = refused[name];
      if (message === undefined) assert.equal(ask(), matching.has(name));
      else assert.throws(ask, { message });
    });

  it("as much as the limits is told", () => {
    const ours = RegexTest.of("([ab]c?){0,999}".repeat(10))!;
    assert.equal(ours.matches("a".repeat(1500)), true);
    assert.equal(ours.matches("a".repeat(2500)), undefined);
    // What leads to states that are known costs nothing.
    const settled = RegexTest.of(`${"((xz){0,900}y?)?".repeat(9)}|[ab]*`)!;
    assert.equal(settled.matches("a".repeat(90_000)), true);
    assert.equal(RegexTest.of(`(?:ab){0,1000}`.repeat(PLACES_MAX / 2000))!.matches("abab"), true);
    const large = `(?:ab){0,999}c?`.repeat(PLACES_MAX / 1999 + 1);
    assert.equal(RegexTest.of(large)!.matches("abab"), undefined);
    assert.throws(() => compileAnchored(large).matches("abab"), { code: "refused" });
    // Of a series without the label.
    assert.equal(compileAnchored(large).matches(""), true);
    assert.equal(compileAnchored(`${large}d`).matches(""), false);
    assert.equal(RegexTest.of(`${large}\\b`)!.matches(""), undefined);
    // A rule takes its time.
    assert.equal(compileRelabelRegex(large).matches("abab"), true);
    assert.equal(compileRelabelRegex(large).matches("abba"), false);
  });
});
