import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { byteCondition, createMatcher } from "./matcher.ts";
import { compileAnchored } from "./regex.ts";
import { compileByteTest } from "./regex-automaton.ts";

function matches(source: string, text: string, isPrefixKnown = false): boolean | undefined {
  const bytes = Buffer.from(`<${text}>`);
  return compileByteTest(source, { isPrefixKnown })?.matches(bytes, 1, bytes.length - 1);
}

/** Patterns with all that is told byte by byte, and some of what is not. */
const pattern = fc.letrec<{ node: string; atom: string }>((tie) => ({
  atom: fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom("a", "b", "-", "1", "ü", "é", "\u{1F600}", "\n", ".") },
    {
      weight: 3,
      arbitrary: fc.constantFrom(
        "[ab]",
        "[^a]",
        "[a-c1]",
        "[^\\d-]",
        "[\\w.]",
        "[^\\n]",
        "[ü]",
        "[[:alpha:]]",
        "[-a]",
        "[]a]",
      ),
    },
    {
      weight: 2,
      arbitrary: fc.constantFrom("\\d", "\\D", "\\w", "\\W", "\\s", "\\S", "\\.", "\\n"),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom("^", "$", "\\b", "\\pL", "(?i:a)", "()", "x{1,2", "{"),
    },
    { weight: 2, arbitrary: tie("node").map((inside) => `(${inside})`) },
    { weight: 1, arbitrary: tie("node").map((inside) => `(?:${inside})`) },
  ),
  node: fc
    .array(
      fc
        .array(
          fc
            .tuple(
              tie("atom"),
              fc.constantFrom(
                "",
                "",
                "",
                "*",
                "+",
                "?",
                "*?",
                "{2}",
                "{1,3}",
                "{2,}",
                "{0}",
                "{0,1}?",
                "**",
              ),
            )
            .map(([atom, repetition]) => atom + repetition),
          { maxLength: 4 },
        )
        .map((parts) => parts.join("")),
      { minLength: 1, maxLength: 3 },
    )
    .map((branches) => branches.join("|")),
})).node;
const text = fc
  .array(
    fc.constantFrom("a", "b", "c", "-", "1", ".", " ", "\n", "ü", "é", "€", "\u{1F600}", "A", "_"),
    {
      maxLength: 8,
    },
  )
  .map((parts) => parts.join(""));

describe("the automaton over bytes", () => {
  it("answers as the engine does", () => {
    let told = 0;
    let matched = 0;
    fc.assert(
      fc.property(pattern, fc.array(text, { minLength: 1, maxLength: 8 }), (source, texts) => {
        let engine;
        try {
          engine = compileAnchored(source);
        } catch {
          return;
        }
        for (const one of texts) {
          const answer = matches(source, one);
          if (answer === undefined) return;
          told++;
          if (answer) matched++;
          assert.equal(answer, engine.matches(one), `${source} on ${JSON.stringify(one)}`);
          assert.equal(matches(source, one, true), answer, `${source} on ${JSON.stringify(one)}`);
          const { prefix } = compileByteTest(source)!;
          if (answer)
            assert.ok(Buffer.from(one).indexOf(prefix) === 0, `${source} begins otherwise`);
        }
      }),
      { numRuns: 5000 },
    );
    assert.ok(told > 5000 && matched > 500, `${told} were told, ${matched} matched`);
  });

  it("finds the shape of a pod's name", () => {
    const source = "pod-.*7.-4[0-9]";
    assert.equal(matches(source, "pod-1078-42"), true);
    assert.equal(matches(source, "pod-107-42"), false);
    assert.equal(matches(source, "pod-1078-4"), false);
    assert.equal(matches(source, "xpod-1078-42"), false);
  });

  it("looks first where a text that does not fit shows it", () => {
    const isReversed = (source: string, isPrefixKnown = false): boolean | undefined =>
      compileByteTest(source, { isPrefixKnown })?.isReversed;
    assert.deepEqual(
      ["a.*b", ".*b", "a.*", ".*", ".*(x|y)"].map((source) => isReversed(source)),
      [false, true, false, false, false],
    );
    assert.equal(isReversed("a.*b", true), true);
    assert.equal(isReversed("a.*", true), false);
    assert.deepEqual(Buffer.from(compileByteTest("a(é-)[b][cd]x")!.prefix).toString(), "aé-b");
    assert.equal(compileByteTest("a*b")!.prefix.length, 0);
  });

  it("leaves to the engine what is not told byte by byte", () => {
    for (const source of [
      "(?i)a",
      "^a",
      "a$",
      "\\bx",
      "\\pL+",
      "[[:digit:]]",
      "a**",
      "[ü]",
      "(?P<x>a)",
    ])
      assert.equal(compileByteTest(source), undefined, source);
    assert.equal(compileByteTest("(((a{100}){100}){100}){100}"), undefined);
  });

  it("stays right and linear with more states than it keeps", () => {
    // The state knows the last eleven characters: 2,048 states.
    const source = "(a|b)*a(a|b){10}";
    const engine = compileAnchored(source);
    const test = compileByteTest(source)!;
    for (let i = 0; i < 5000; i++) {
      const one = i.toString(2).replaceAll("0", "a").replaceAll("1", "b").repeat(2);
      const bytes = Buffer.from(one);
      assert.equal(test.matches(bytes, 0, bytes.length), engine.matches(one), one);
    }
  });

  it("turns round for a matcher that excludes", () => {
    const bytes = Buffer.from("a1");
    const ask = (operator: "=~" | "!~" | "="): boolean | undefined =>
      byteCondition(createMatcher("x", operator, "a[0-9]"))?.(bytes, 0, 2);
    assert.deepEqual([ask("=~"), ask("!~"), ask("=")], [true, false, undefined]);
  });
});
