import assert from "node:assert/strict";
import { mkdtemp, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { createFile } from "./file.ts";
import { expandGlob } from "./file-glob.ts";
import { parseJsonGroups, parseYamlGroups } from "./group-list.ts";
import { TestReports, testContext } from "./test-reports.ts";

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "shoal-discovery-"));
  t.after(() => rm(path, { recursive: true }));
  return path;
}

const HOUR_MS = 3_600_000;
const list = (...targets: string[]): string => JSON.stringify([{ targets, labels: { a: "b" } }]);

test("files are read, watched, and may come and go", async (t) => {
  const path = await folder(t);
  await writeFile(join(path, "one.json"), list("h:1", "h:2"));
  const context = testContext();
  const reports = TestReports.run(
    t,
    createFile(
      { files: [join(path, "*.json"), join(path, "*.yml")], refreshIntervalMs: HOUR_MS },
      context,
    ),
  );
  const first = await reports.addresses(["h:1", "h:2"]);
  assert.deepEqual(first, {
    groups: [
      {
        source: `${join(path, "one.json")}:0`,
        labels: { a: "b", __meta_filepath: join(path, "one.json") },
        targets: [{ __address__: "h:1" }, { __address__: "h:2" }],
      },
    ],
    isPartial: false,
    errors: [],
  });
  await writeFile(join(path, "two.yml"), "- targets: [h:3, 10]\n  labels: {x: 010, y: yes}\n");
  const both = await reports.addresses(["10", "h:1", "h:2", "h:3"]);
  assert.deepEqual(both.groups?.[1]?.labels, {
    x: "010",
    y: "yes",
    __meta_filepath: join(path, "two.yml"),
  });
  // As careful tools write: a new file moved over the old one.
  await writeFile(join(path, "new.tmp"), list("h:9"));
  await rename(join(path, "new.tmp"), join(path, "one.json"));
  await reports.addresses(["10", "h:3", "h:9"]);
  await rm(join(path, "two.yml"));
  await reports.addresses(["h:9"]);
  assert.ok(!context.registry.expose().includes('filename="' + join(path, "two.yml")));
});

test("a bad file keeps its last good content, and says what is wrong", async (t) => {
  const path = await folder(t);
  await writeFile(join(path, "a.json"), list("h:1"));
  await writeFile(join(path, "b.json"), list("h:2"));
  const context = testContext();
  const reports = TestReports.run(
    t,
    createFile({ files: [join(path, "*.json")], refreshIntervalMs: HOUR_MS }, context),
  );
  await reports.addresses(["h:1", "h:2"]);
  await writeFile(join(path, "a.json"), '[{"targets": ["h:1"');
  const broken = await reports.next((finding) => finding.errors.length > 0);
  assert.deepEqual(
    broken.groups?.map((group) => group.targets),
    [[{ __address__: "h:1" }], [{ __address__: "h:2" }]],
  );
  assert.match(broken.errors[0]!, /^cannot read .*a\.json: cannot parse JSON/);
  assert.match(context.registry.expose(), /prometheus_sd_file_read_errors_total [1-9]/);
  await writeFile(join(path, "a.json"), list("h:5"));
  const mended = await reports.addresses(["h:2", "h:5"]);
  assert.deepEqual(mended.errors, []);
});

test("a file that was bad from the start makes the list partial", async (t) => {
  const path = await folder(t);
  await writeFile(join(path, "a.json"), "{");
  await writeFile(join(path, "b.json"), list("h:2"));
  const reports = TestReports.run(
    t,
    createFile({ files: [join(path, "*.json")], refreshIntervalMs: HOUR_MS }, testContext()),
  );
  const lacking = await reports.addresses(["h:2"]);
  assert.equal(lacking.isPartial, true);
  await writeFile(join(path, "a.json"), list("h:1"));
  assert.equal((await reports.addresses(["h:1", "h:2"])).isPartial, false);
});

test("a folder that comes later is found by the refresh", async (t) => {
  const path = await folder(t);
  const reports = TestReports.run(
    t,
    createFile({ files: [join(path, "sub", "x.json")], refreshIntervalMs: 20 }, testContext()),
  );
  assert.deepEqual(await reports.next(), { groups: [], isPartial: false, errors: [] });
  await mkdir(join(path, "sub"));
  await writeFile(join(path, "sub", "x.json"), list("h:1"));
  await reports.addresses(["h:1"]);
});

test("a folder that is replaced by another is watched again", async (t) => {
  const path = await folder(t);
  const inner = join(path, "sub");
  const fill = async (target: string): Promise<void> => {
    await mkdir(join(path, "next"));
    await writeFile(join(path, "next", "x.json"), list(target));
    await rename(join(path, "next"), inner);
  };
  await fill("h:1");
  const reports = TestReports.run(
    t,
    createFile({ files: [join(inner, "x.json")], refreshIntervalMs: 100 }, testContext()),
  );
  await reports.addresses(["h:1"]);
  await rename(inner, join(path, "old"));
  await fill("h:2");
  await reports.addresses(["h:2"]);
  await writeFile(join(inner, "x.json"), list("h:3"));
  await reports.addresses(["h:3"]);
});

test("globs match in the last element", async (t) => {
  const path = await folder(t);
  for (const name of ["a1.json", "a2.json", "b1.json", "(x).json", ".json"])
    await writeFile(join(path, name), "[]");
  const f = async (pattern: string, want: string[]): Promise<void> =>
    assert.deepEqual(
      await expandGlob(join(path, pattern)),
      want.map((name) => join(path, name)),
    );
  await f("*.json", ["(x).json", ".json", "a1.json", "a2.json", "b1.json"]);
  await f("a?.json", ["a1.json", "a2.json"]);
  await f("[ab]1.json", ["a1.json", "b1.json"]);
  await f("[^a]1.json", ["b1.json"]);
  await f("(x).*", ["(x).json"]);
  await f("none*.json", []);
  assert.deepEqual(await expandGlob(join(path, "missing", "*.json")), []);
  assert.deepEqual(await expandGlob(join(path, "exact.json")), [join(path, "exact.json")]);
});

test("lists that are not lists of groups say why", () => {
  const f = (text: string, want: RegExp, parse = parseJsonGroups): void =>
    assert.throws(() => parse(text), { code: "bad-data", message: want });
  f("{}", /^not a list of target groups$/);
  f("[null]", /^nil target group item found \(index 0\)$/);
  f("[1]", /^target group 0 is not an object$/);
  f('[{"targets": ["a"], "foo": 1}]', /^unknown field "foo" in target group 0$/);
  f('[{"targets": "a"}]', /^targets of target group 0 are not a list of strings$/);
  f('[{"targets": [1]}]', /^targets of target group 0 are not a list of strings$/);
  f('[{"labels": {"a": 1}}]', /^label "a" of target group 0 is not a string$/);
  f('[{"labels": {"": "x"}}]', /^"" is not a valid label name$/);
  f("[", /^cannot parse JSON/);
  f("- targets: [a\n", /^cannot parse YAML/, parseYamlGroups);
  f("- targets: [a]\n  targets: [b]\n", /^cannot parse YAML: .*unique/, parseYamlGroups);
  f("- foo: [a]\n", /^unknown field "foo"/, parseYamlGroups);
  f("-\n", /^nil target group/, parseYamlGroups);
  assert.deepEqual(parseYamlGroups(""), []);
  assert.deepEqual(parseJsonGroups("null"), []);
  assert.deepEqual(parseYamlGroups("- targets:\n  labels:\n"), [{ targets: [], labels: {} }]);
});

test("magic label names in a list stay labels", () => {
  const [group] = parseJsonGroups(
    '[{"targets":["h:1"],"labels":{"__proto__":"x","toString":"y"}}]',
  );
  assert.deepEqual(Object.entries(group!.labels), [
    ["__proto__", "x"],
    ["toString", "y"],
  ]);
});
