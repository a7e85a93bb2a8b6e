import assert from "node:assert/strict";
import { test } from "node:test";
import { hasWholeEscapes, isMediaType, parseForm } from "./form.ts";

test("pairs that Go does not read are left out", () => {
  const f = (text: string, want: readonly (readonly [string, string])[]): void =>
    assert.deepEqual([...parseForm(text)], want, text);
  f("", []);
  f("a=1&b=2&a=3", [
    ["a", "1"],
    ["b", "2"],
    ["a", "3"],
  ]);
  f("a=%zz&b=2", [["b", "2"]]);
  f("a%=1&b=2", [["b", "2"]]);
  f("a=1;b=2&c=%41+1", [["c", "A 1"]]);
  f("a=1%", []);
  f("a=%ff", [["a", "\ufffd"]]);
});

test("escapes have two digits", () => {
  assert.equal(hasWholeEscapes("/a%20b%ff;"), true);
  assert.equal(hasWholeEscapes("/a%2"), false);
  assert.equal(hasWholeEscapes("/a%2g"), false);
});

test("media types", () => {
  for (const text of [
    "text/plain",
    "a/b; charset=x",
    "application/x-www-form-urlencoded",
    "A/b+c;",
  ])
    assert.equal(isMediaType(text), true, text);
  for (const text of ["", ";", "nonsense", "a/b/c", "a /b", "a/"])
    assert.equal(isMediaType(text), false, text);
});
