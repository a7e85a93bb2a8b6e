import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { expandFiles } from "./glob.ts";

let folder = "";
before(() => {
  folder = mkdtempSync(join(tmpdir(), "glob-"));
  for (const name of ["a.yml", "b.yml", "a+b.yml", "[x].yml", "c.json"])
    writeFileSync(join(folder, name), "");
});
after(() => rmSync(folder, { recursive: true }));

test("patterns are Go's, in the last element", () => {
  const f = (pattern: string, want: readonly string[]): void =>
    assert.deepEqual(
      expandFiles(join(folder, pattern)),
      want.map((name) => join(folder, name)),
    );
  f("*.yml", ["[x].yml", "a+b.yml", "a.yml", "b.yml"]);
  f("**.yml", ["[x].yml", "a+b.yml", "a.yml", "b.yml"]);
  f("?.yml", ["a.yml", "b.yml"]);
  f("[b-z].*", ["b.yml", "c.json"]);
  f("[^b].yml", ["a.yml"]);
  f("a+b.yml", ["a+b.yml"]);
  f("\\[x].yml", ["[x].yml"]);
  f("{a,b}.yml", []);
  f("none.yml", []);
  f("none/*.yml", []);
  f("a\0b", []);
});

test("a malformed pattern is refused", () => {
  assert.throws(() => expandFiles(join(folder, "[a")), /syntax error in pattern/);
});
