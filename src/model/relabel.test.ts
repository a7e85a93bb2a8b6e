import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { Labels } from "./labels.ts";
import type { RelabelConfig } from "./relabel-config.ts";
import { createRelabeler, relabel, type RelabelOptions } from "./relabel.ts";
import { compileRelabelRegex } from "./regex.ts";

type Rule = Partial<Omit<RelabelConfig, "regex">> & { readonly regex?: string };

function rule(options: Rule): RelabelConfig {
  const { regex = "(.*)", ...rest } = options;
  return {
    sourceLabels: [],
    separator: ";",
    modulus: 0,
    targetLabel: "",
    replacement: "$1",
    action: "replace",
    ...rest,
    regex: compileRelabelRegex(regex),
  };
}

/** `want` undefined: dropped. */
function f(
  input: Record<string, string>,
  rules: readonly Rule[],
  want: Record<string, string> | undefined,
  options?: RelabelOptions,
): void {
  const got = relabel(Labels.fromObject(input), rules.map(rule), options);
  assert.equal(
    got?.toString(),
    want === undefined ? undefined : Labels.fromObject(want).toString(),
    JSON.stringify(rules),
  );
}

test("replace", () => {
  const abc = { a: "foo", b: "bar", c: "baz" };
  f(
    abc,
    [{ sourceLabels: ["a"], regex: "f(.*)", targetLabel: "d", replacement: "ch${1}-ch${1}" }],
    { ...abc, d: "choo-choo" },
  );
  f(
    abc,
    [
      {
        sourceLabels: ["a", "b"],
        regex: "f(.*);(.*)r",
        targetLabel: "a",
        replacement: "b${1}${2}m",
      },
      {
        sourceLabels: ["c", "a"],
        regex: "(b).*b(.*)ba(.*)",
        targetLabel: "d",
        replacement: "$1$2$2$3",
      },
    ],
    { a: "boobam", b: "bar", c: "baz", d: "boooom" },
  );
  f({ a: "foo" }, [{ sourceLabels: ["a"], regex: ".*", targetLabel: "a", replacement: "" }], {});
  f({ a: "boo" }, [{ sourceLabels: ["a"], regex: "f(.*)", targetLabel: "b", replacement: "x$1" }], {
    a: "boo",
  });
  f({ a: "1" }, [{ targetLabel: "b", replacement: "const" }], { a: "1", b: "const" });
  f({ a: "1" }, [{ targetLabel: "a", replacement: "" }], {});
  f({ a: "1" }, [{ sourceLabels: ["none"], targetLabel: "a" }], {});
  f({ a: "1" }, [{ sourceLabels: ["none"], regex: "(.+)", targetLabel: "a" }], { a: "1" });
  f({ a: "x", b: "y" }, [{ sourceLabels: ["a", "b"], separator: "", targetLabel: "c" }], {
    a: "x",
    b: "y",
    c: "xy",
  });
  f({ a: "x" }, [{ sourceLabels: ["a", "b"], targetLabel: "c" }], { a: "x", c: "x;" });
});

test("replace with a computed target label", () => {
  f(
    { a: "some-name-value" },
    [
      {
        sourceLabels: ["a"],
        regex: "some-([^-]+)-([^,]+)",
        targetLabel: "${1}",
        replacement: "${2}",
      },
    ],
    { a: "some-name-value", name: "value" },
  );
  f(
    { a: "some-name-value" },
    [
      {
        sourceLabels: ["a"],
        regex: "some-([^-]+)-([^,]+)",
        targetLabel: "${3}",
        replacement: "${1}",
      },
    ],
    { a: "some-name-value" },
  );
  f(
    { a: "some-name-0" },
    [
      {
        sourceLabels: ["a"],
        regex: "some-([^-]+)-(\\d)",
        targetLabel: "x-${1}",
        replacement: "${2}",
      },
    ],
    { a: "some-name-0", "x-name": "0" },
  );
  f(
    { a: "some-name-0" },
    [
      {
        sourceLabels: ["a"],
        regex: "some-([^-]+)-(\\d)",
        targetLabel: "x-${1}",
        replacement: "${2}",
      },
    ],
    { a: "some-name-0" },
    { nameValidation: "legacy" },
  );
  f(
    { __meta_sd_tags: "path:/secret,job:some-job,label:foo=bar" },
    [
      {
        sourceLabels: ["__meta_sd_tags"],
        regex: "(?:.+,|^)path:(/[^,]+).*",
        targetLabel: "__metrics_path__",
      },
      { sourceLabels: ["__meta_sd_tags"], regex: "(?:.+,|^)job:([^,]+).*", targetLabel: "job" },
      {
        sourceLabels: ["__meta_sd_tags"],
        regex: "(?:.+,|^)label:([^=]+)=([^,]+).*",
        targetLabel: "${1}",
        replacement: "${2}",
      },
    ],
    {
      __meta_sd_tags: "path:/secret,job:some-job,label:foo=bar",
      __metrics_path__: "/secret",
      foo: "bar",
      job: "some-job",
    },
  );
});

test("keep and drop", () => {
  const a = { a: "foo" };
  f(
    a,
    [
      { sourceLabels: ["a"], regex: ".*o.*", action: "drop" },
      { targetLabel: "d", replacement: "x" },
    ],
    undefined,
  );
  f(a, [{ sourceLabels: ["a"], regex: "no-match", action: "drop" }], a);
  f(a, [{ sourceLabels: ["a"], regex: "f|o", action: "drop" }], a);
  f(a, [{ sourceLabels: ["a"], regex: "no-match", action: "keep" }], undefined);
  f(a, [{ sourceLabels: ["a"], regex: "f.*", action: "keep" }], a);
  f(a, [{ sourceLabels: ["b"], regex: "", action: "keep" }], a);
  f({ a: "f\noo" }, [{ sourceLabels: ["a"], regex: "f.*o", action: "keep" }], { a: "f\noo" });
});

test("keepequal and dropequal", () => {
  const main = { __tmp_port: "1234", __port1: "1234", __port2: "5678" };
  f(main, [{ sourceLabels: ["__tmp_port"], action: "keepequal", targetLabel: "__port1" }], main);
  f(
    main,
    [{ sourceLabels: ["__tmp_port"], action: "keepequal", targetLabel: "__port2" }],
    undefined,
  );
  f(
    main,
    [{ sourceLabels: ["__tmp_port"], action: "dropequal", targetLabel: "__port1" }],
    undefined,
  );
  f(main, [{ sourceLabels: ["__tmp_port"], action: "dropequal", targetLabel: "__port2" }], main);
});

test("hashmod", () => {
  const modulusOf = (value: string, modulus: bigint): string => {
    const digest = createHash("md5").update(value).digest();
    return (digest.readBigUInt64BE(8) % modulus).toString();
  };
  f({ c: "baz" }, [{ sourceLabels: ["c"], targetLabel: "d", action: "hashmod", modulus: 1000 }], {
    c: "baz",
    d: "976",
  });
  f(
    { c: "foo\nbar" },
    [{ sourceLabels: ["c"], targetLabel: "d", action: "hashmod", modulus: 1000 }],
    { c: "foo\nbar", d: "734" },
  );
  for (const modulus of [1, 7, 2 ** 21, 2 ** 21 + 1, 2 ** 32, 2 ** 53 - 1])
    for (const value of ["", "x", "10.0.0.1:9100", "é".repeat(100)])
      f(
        { k: "1", c: value },
        [{ sourceLabels: ["c"], targetLabel: "d", action: "hashmod", modulus }],
        { k: "1", c: value, d: modulusOf(value, BigInt(modulus)) },
      );
});

test("labelmap", () => {
  f(
    { a: "foo", b1: "bar", b2: "baz" },
    [{ regex: "(b.*)", action: "labelmap", replacement: "bar_${1}" }],
    { a: "foo", b1: "bar", b2: "baz", bar_b1: "bar", bar_b2: "baz" },
  );
  f(
    { a: "foo", __meta_my_bar: "aaa", __meta_my_baz: "bbb", __meta_other: "ccc" },
    [{ regex: "__meta_(my.*)", action: "labelmap" }],
    {
      a: "foo",
      __meta_my_bar: "aaa",
      __meta_my_baz: "bbb",
      __meta_other: "ccc",
      my_bar: "aaa",
      my_baz: "bbb",
    },
  );
  // `$1x` is the group named 1x, which is empty, and no label has an empty name.
  f({ x: "1" }, [{ regex: "(x+)", action: "labelmap", replacement: "$1x" }], { x: "1" });
  // A copy made by this rule is not copied again.
  f({ x: "1" }, [{ regex: "(x+)", action: "labelmap", replacement: "x${1}" }], { x: "1", xx: "1" });
});

test("labeldrop and labelkeep", () => {
  f({ __name__: "up", a: "foo", b1: "bar", b2: "baz" }, [{ regex: "b.*", action: "labeldrop" }], {
    __name__: "up",
    a: "foo",
  });
  f({ __name__: "up", a: "foo", b1: "bar" }, [{ regex: "b.*", action: "labelkeep" }], {
    b1: "bar",
  });
  f({ a: "foo" }, [{ regex: ".*", action: "labeldrop" }], {});
});

test("lowercase and uppercase map character by character", () => {
  f(
    { foo: "bAr123Foo" },
    [
      { sourceLabels: ["foo"], action: "uppercase", targetLabel: "up" },
      { sourceLabels: ["foo"], action: "lowercase", targetLabel: "low" },
    ],
    { foo: "bAr123Foo", up: "BAR123FOO", low: "bar123foo" },
  );
  f({ a: "straße ŉ ᾳ ᾀ ɐ" }, [{ sourceLabels: ["a"], action: "uppercase", targetLabel: "a" }], {
    a: "STRAßE ŉ ᾼ ᾈ Ɐ",
  });
  f({ a: "ΣΑΣ İ" }, [{ sourceLabels: ["a"], action: "lowercase", targetLabel: "a" }], {
    a: "σασ i",
  });
  f({ a: "x" }, [{ sourceLabels: ["b"], action: "lowercase", targetLabel: "a" }], {});
});

test("magic names are ordinary labels", () => {
  f(
    { ["__proto__"]: "1", constructor: "2" },
    [
      { sourceLabels: ["__proto__", "toString"], targetLabel: "hasOwnProperty" },
      { regex: "(__proto__)", action: "labelmap", replacement: "copy_$1" },
    ],
    { ["__proto__"]: "1", constructor: "2", hasOwnProperty: "1;", copy___proto__: "1" },
  );
});

test("labels that no rule changes are the very same object", () => {
  const relabeler = createRelabeler([rule({ sourceLabels: ["a"], regex: "x", targetLabel: "b" })]);
  const labels = Labels.fromObject({ a: "1", b: "2" });
  assert.equal(relabeler.relabel(labels), labels);
  assert.equal(createRelabeler([]).relabel(labels), labels);
});

test("property: remembered results equal fresh ones", () => {
  const values = fc.constantFrom("", "a", "b", "ab", "a;b", "é");
  const names = fc.constantFrom("p", "q", "r", "__meta_x");
  const anyRule = fc.record({
    sourceLabels: fc.array(names, { maxLength: 2 }),
    regex: fc.constantFrom("(.*)", "a.*", "(a|b)", "([a-b]+);?(.*)", "__meta_(.+)"),
    targetLabel: fc.constantFrom("p", "q", "t", "${1}"),
    replacement: fc.constantFrom("$1", "${2}-x", "", "const"),
    modulus: fc.constantFrom(3, 1000),
    action: fc.constantFrom(
      "replace",
      "replace",
      "replace",
      "hashmod",
      "lowercase",
      "uppercase",
      "labelmap",
      "labeldrop",
      "dropequal",
      "keepequal",
      "drop",
    ),
  });
  fc.assert(
    fc.property(
      fc.array(anyRule, { minLength: 1, maxLength: 5 }),
      fc.array(fc.dictionary(names, values, { noNullPrototype: true }), { maxLength: 20 }),
      (rules, inputs) => {
        const configs = rules.map(rule);
        const shared = createRelabeler(configs);
        for (const input of inputs) {
          const labels = Labels.fromObject(input);
          const once = relabel(labels, configs)?.toString();
          assert.equal(shared.relabel(labels)?.toString(), once);
          assert.equal(shared.relabel(labels)?.toString(), once);
        }
      },
    ),
    { numRuns: 300 },
  );
});

test("more values than are remembered", () => {
  const relabeler = createRelabeler([
    rule({ sourceLabels: ["a"], regex: "v(\\d+)", targetLabel: "b" }),
  ]);
  for (let round = 0; round < 2; round++)
    for (let i = 0; i < 20_000; i++) {
      const got = relabeler.relabel(Labels.fromSorted(["a", `v${i}`]));
      assert.equal(got!.get("b"), String(i));
    }
});
