import assert from "node:assert/strict";
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { silentLogger } from "../base/logger.ts";
import { DecisionFile, encodeDecisions, parseDecisions } from "./decision-file.ts";
import { DecisionLog } from "./decision-log.ts";
import type { Decision } from "./plan-types.ts";

const folder = mkdtempSync(join(tmpdir(), "shoal-decisions-"));
after(() => rmSync(folder, { recursive: true }));

let count = 0;
function freshPath(): string {
  return join(folder, `decisions-${count++}.jsonl`);
}

function assigned(hash: string): Decision {
  return {
    kind: "assign",
    hash,
    job: "m",
    url: `http://${hash}/metrics?token=abc`,
    to: "shard-0",
    reason: `10 series, "quoted"\nsecond line`,
  };
}

async function openLog(
  path: string,
  options: { capacity?: number; maxBytes?: number } = {},
): Promise<{ log: DecisionLog; file: DecisionFile }> {
  const { capacity = 100, ...rest } = options;
  const file = new DecisionFile({ path, logger: silentLogger, ...rest });
  const log = new DecisionLog(capacity, file);
  log.restore(await file.open());
  return { log, file };
}

test("a restarted coordinator knows what was decided before, and counts on", async () => {
  const path = freshPath();
  const first = await openLog(path);
  first.log.add([assigned("1"), assigned("2")], 1_700_000_000_123);
  first.log.add([{ kind: "scale-up", reason: "from 1 to 2" }], 1_700_000_001_000);
  await first.file.close();
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.doesNotMatch(readFileSync(path, "utf8"), /abc/, "no secret in the file");
  const second = await openLog(path);
  assert.deepEqual(second.log.all(), first.log.all());
  second.log.add([assigned("1")], 1_700_000_002_000);
  assert.deepEqual(
    second.log.about("1").map(({ id }) => id),
    [4, 1],
  );
  await second.file.close();
});

test("a torn tail and foreign lines are left out, and the file is whole again with the next line", async () => {
  const path = freshPath();
  const first = await openLog(path);
  first.log.add([assigned("1"), assigned("2")], 1);
  await first.file.close();
  appendFileSync(path, 'null\n{"id":"x"}\n{"id":3,"time":"2026-01-01T00:00:00Z","kind":"mo');
  const second = await openLog(path);
  assert.deepEqual(second.log.all(), first.log.all());
  second.log.add([assigned("3")], 2);
  await second.file.close();
  const { entries, skipped } = parseDecisions(readFileSync(path, "utf8"));
  assert.equal(skipped, 0);
  assert.deepEqual(entries, second.log.all());
});

test("property: a file cut at any byte yields the whole lines before the cut", async () => {
  const log = new DecisionLog(10);
  log.add(
    [assigned("1"), assigned("2"), { kind: "hold", job: "ü", reason: "ö" }],
    1_700_000_000_000,
  );
  const bytes = Buffer.from(encodeDecisions(log.all()));
  for (let length = 0; length <= bytes.length; length++) {
    const text = bytes.subarray(0, length).toString("utf8");
    const whole = text.split("\n").length - 1;
    const { entries } = parseDecisions(text);
    // The last line may lack nothing but its newline.
    assert.ok(entries.length === whole || bytes[length] === 10, `cut at ${length}`);
    assert.deepEqual(entries, log.all().slice(0, entries.length));
  }
});

test("a full file is set aside; the new one holds all that is remembered, and both stay bounded", async () => {
  const path = freshPath();
  const maxBytes = 2_000;
  const { log, file } = await openLog(path, { capacity: 5, maxBytes });
  log.add([assigned("old")], 1);
  for (let i = 0; i < 200; i++) {
    log.add([assigned(String(i % 3))], 1_700_000_000_000 + i);
    await file.flush();
  }
  assert.ok(existsSync(`${path}.1`));
  for (const each of [path, `${path}.1`]) assert.ok(statSync(each).size < 2 * maxBytes, each);
  await file.close();
  const next = await openLog(path, { capacity: 5, maxBytes });
  assert.equal(next.log.about("old").length, 1, "kept over every rotation");
  assert.deepEqual(next.log.all().at(-1), log.all().at(-1));
  await next.file.close();
});

test("a crash between setting aside and the new file loses nothing", async () => {
  const path = freshPath();
  const first = await openLog(path);
  first.log.add([assigned("1")], 1);
  await first.file.close();
  writeFileSync(`${path}.1`, readFileSync(path));
  rmSync(path);
  const second = await openLog(path);
  assert.deepEqual(second.log.all(), first.log.all());
  await second.file.close();
});

test("a path that cannot be written is refused with its name", async () => {
  const file = new DecisionFile({ path: join(folder, "none", "x.jsonl"), logger: silentLogger });
  await assert.rejects(file.open(), /cannot write .*none\/x\.jsonl: ENOENT/);
});

test("a file that was taken away comes back with everything", async () => {
  const path = freshPath();
  const { log, file } = await openLog(path, { maxBytes: 300 });
  for (let i = 0; i < 3; i++) {
    log.add([assigned(String(i))], 1);
    await file.flush();
  }
  rmSync(path);
  for (let i = 3; i < 6; i++) {
    log.add([assigned(String(i))], 1);
    await file.flush();
  }
  await file.close();
  assert.deepEqual(parseDecisions(readFileSync(path, "utf8")).entries.length, 6);
});
