import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { sharedPath, skipWithout } from "../../test/shared-data.ts";
import { partPath, skipWithoutParts } from "../../test/support/processes.ts";
import { systemClock } from "../base/clock.ts";
import { silentLogger } from "../base/logger.ts";
import { verifyBlock } from "../block/verify.ts";
import { blockFolders, ReadOnlyDatabase } from "../tsdb/read-only.ts";
import { binarySize, goDuration, goTime, table } from "./tsdb-text.ts";

const root = await mkdtemp(join(tmpdir(), "tsdb-cli-test-"));
after(() => rm(root, { recursive: true, force: true }));
const skip = skipWithout("golden");

/** A data folder with the golden block. */
async function goldenFolder(name: string): Promise<string> {
  const shared = sharedPath("golden")!;
  const block = (await readdir(shared)).find((entry) => entry.startsWith("block-"))!;
  const folder = join(root, name);
  const target = join(folder, block.slice("block-".length));
  await mkdir(folder);
  await cp(join(shared, block), target, { recursive: true });
  for (const path of [target, join(target, "chunks")]) await chmod(path, 0o755);
  await mkdir(join(folder, "wal"));
  return folder;
}

function shoal(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const main = join(import.meta.dirname, "main.ts");
  return spawnSync(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", main, "tsdb", ...args],
    { encoding: "utf8", maxBuffer: 64 * 1024 * 1024 },
  );
}

function lines(text: string): string[] {
  return text.trimEnd().split("\n").sort();
}

describe("shoal tsdb bench write", () => {
  test("stores what promtool's stores", { skip: skipWithoutParts() }, async () => {
    const input = join(root, "series.json");
    const series = Array.from({ length: 50 }, (_, i) =>
      JSON.stringify({ __name__: `m${i % 3}`, i: String(i), job: "a" }),
    );
    await writeFile(input, `${series.join("\n")}\n`);
    const promtool = (...args: string[]): string =>
      execFileSync(partPath("promtool")!, ["tsdb", ...args], {
        encoding: "utf8",
        maxBuffer: 64 * 1024 * 1024,
      });
    const [ours, theirs] = [join(root, "bench-ours"), join(root, "bench-theirs")];
    const size = ["--metrics=40", "--scrapes=600"];
    promtool("bench", "write", `--out=${theirs}`, ...size, input);
    const { status, stdout, stderr } = shoal(
      "bench",
      "write",
      `--out=${ours}`,
      ...size,
      "--json",
      input,
    );
    assert.equal(status, 0, stderr);
    const figures = JSON.parse(stdout) as Record<string, number>;
    const { series: count, scrapes, samples, blocks } = figures;
    assert.deepEqual([count, scrapes, samples, blocks], [40, 600, 24_000, 1]);
    assert.ok(figures["samplesPerSecond"]! > 0 && figures["cpuSeconds"]! > 0);
    const dumps = [ours, theirs].map((out) => lines(promtool("dump", join(out, "storage"))));
    assert.equal(dumps[0]!.length, 24_000);
    assert.deepEqual(dumps[0], dumps[1]);
    const again = shoal("bench", "write", `--out=${ours}`);
    assert.equal(again.status, 1);
    assert.match(again.stderr, /bench-ours\/storage is not empty; delete it or choose another/);
    const made = shoal(
      "bench",
      "write",
      `--out=${join(root, "made")}`,
      "--metrics=7",
      "--scrapes=3",
    );
    assert.match(made.stdout, /> total samples: 21\n > samples\/sec: \d+\n/);
    await writeFile(input, `${series[0]}\n{"__name__":1}\n`);
    const bad = shoal("bench", "write", `--out=${join(root, "bad")}`, input);
    assert.match(bad.stderr, /series\.json:2: it is no JSON object of labels/);
  });
});

describe("shoal tsdb create-blocks-from openmetrics", () => {
  test("makes the blocks that promtool makes", { skip: skipWithoutParts() }, async () => {
    const input = join(root, "input.om");
    const samples = Array.from({ length: 400 }, (_, i) => `a_total{x="1"} ${i} ${1.7e9 + 60 * i}`);
    await writeFile(input, `# TYPE a counter\n${samples.join("\n")}\n# EOF\n`);
    const promtool = (...args: string[]): string =>
      execFileSync(partPath("promtool")!, ["tsdb", ...args], { encoding: "utf8" });
    promtool("create-blocks-from", "openmetrics", "--label=c=d", input, join(root, "theirs"));
    shoal("create-blocks-from", "openmetrics", "--label=c=d", input, join(root, "ours"));
    const found = ["theirs", "ours"].map((name) => {
      const path = join(root, name);
      const blocks = promtool("list", path).split("\n").slice(1);
      // Names and sizes differ: ours have no sections that nobody reads.
      return [blocks.map((line) => line.split(/ +/).slice(1, 7)), shoal("dump", path).stdout];
    });
    assert.equal(found[0]![0]!.length, 5);
    assert.deepEqual(found[1], found[0]);
  });

  test("tells what is wrong with its arguments", () => {
    const refused = (status: number, ...args: string[]): string => {
      const found = shoal("create-blocks-from", "openmetrics", ...args);
      assert.equal(found.status, status);
      return found.stderr;
    };
    assert.match(refused(1, "none.om"), /cannot read none.om: ENOENT/);
    assert.match(
      refused(2, "--label", "=2", "x"),
      /^shoal: option '--label <name=value>' argument '=2' is invalid. Give it as name=value.$/m,
    );
    assert.match(
      refused(2, "x", "y", "--max-block-duration=1h"),
      /argument '1h' is invalid. cannot make blocks shorter than two hours/,
    );
    assert.match(refused(2, "x", "--max-block-duration=zz"), /argument 'zz' is invalid/);
  });

  test("is quiet when it is told to be, and sets labels", async () => {
    const [input, output] = [join(root, "quiet.om"), join(root, "quiet")];
    await writeFile(input, "g 1 1.5\n# EOF\n");
    const args = ["--label=c=d", "--label=e=f=g", "-q", "--json", input, output];
    assert.equal(shoal("create-blocks-from", "openmetrics", ...args).stdout, "");
    assert.equal(
      shoal("dump-openmetrics", "--json", output).stdout,
      '{"metric":{"__name__":"g","c":"d","e":"f=g"},"samples":[[1500,"1"]]}\n',
    );
    assert.equal(
      shoal("dump-openmetrics", '--match={c="d"}', "--match=x", output).stdout,
      'g{c="d",e="f=g"} 1 1.500\n# EOF\n',
    );
  });

  test("a folder without blocks is not verified", async () => {
    const { status, stderr } = shoal("verify", root);
    assert.equal(status, 1);
    assert.equal(stderr, `shoal: no blocks found in ${root}\n`);
  });
});

test("how far a look at blocks has come is told up to the end", async () => {
  const [input, output] = [join(root, "progress.om"), join(root, "progress")];
  const samples = Array.from({ length: 3000 }, (_, i) => `g{i="${i}"} 1 ${i < 1500 ? 1 : 7201}`);
  await writeFile(input, `${samples.join("\n")}\n# EOF\n`);
  shoal("create-blocks-from", "openmetrics", "-q", input, output);
  const f = async (read: (onProgress: (share: number) => void) => Promise<void>): Promise<void> => {
    const shares: number[] = [];
    await read((share) => shares.push(share));
    assert.equal(shares.at(-1), 1);
    assert.ok(shares.length > 1);
    assert.ok(shares.every((share) => share >= 0 && share <= 1));
  };
  const [folder] = await blockFolders(output);
  await f(async (onProgress) => {
    assert.deepEqual((await verifyBlock(folder!, onProgress)).problems, []);
  });
  await f(async (onRead) => {
    const options = { logger: silentLogger, clock: systemClock, onDamage: assert.fail, onRead };
    const database = await ReadOnlyDatabase.open(output, options);
    const request = { matchers: [], minTimeMs: -Infinity, maxTimeMs: Infinity };
    let count = 0;
    for await (const { series } of database.select(request)) count += series.length;
    assert.equal(count, 3000);
    await database.close();
  });
});

describe("shoal tsdb", { skip }, () => {
  test("prints what promtool prints", { skip: skipWithoutParts() }, async () => {
    const folder = await goldenFolder("same");
    const promtool = (...args: string[]): string =>
      execFileSync(partPath("promtool")!, ["tsdb", ...args], { encoding: "utf8" });
    for (const args of [["list"], ["list", "-r"]])
      assert.equal(shoal(...args, folder).stdout, promtool(...args, folder));
    // Entries of the same rank come in no order there.
    for (const args of [
      ["analyze"],
      ["analyze", '--match={__name__=~"int.*"}'],
      ["analyze", "--extended"],
      ["analyze", "--extended", '--match={__name__="jitter"}'],
    ])
      assert.deepEqual(lines(shoal(...args, folder).stdout), lines(promtool(...args, folder)));
    const floats = '--match={__name__=~"constant|gaps|jitter|regular_total|special|utf8.*"}';
    assert.deepEqual(shoal("dump", floats, folder).stdout, promtool("dump", floats, folder));
    // Names in quotes, which promtool prints in a way that nobody can read.
    const quoted = /^(\{"utf8|utf8)/;
    const openMetrics = (text: string): string[] =>
      lines(text).filter((line) => !quoted.test(line));
    assert.deepEqual(
      openMetrics(shoal("dump-openmetrics", folder).stdout),
      openMetrics(promtool("dump-openmetrics", folder)),
    );
    // promtool leaves out the first histogram of a series; every line that it prints is one of ours.
    const ours = new Set(lines(shoal("dump", folder).stdout));
    assert.equal(ours.size, 786);
    assert.deepEqual(
      lines(promtool("dump", folder)).filter((line) => !ours.has(line)),
      [],
    );
  });

  test("dumps by selector and time, and as JSON", async () => {
    const folder = await goldenFolder("dump");
    const args = ["--min-time=1700000000000", "--max-time=1700000030000", '--match={i="0"}'];
    assert.deepEqual(lines(shoal("dump", ...args, folder).stdout).slice(0, 3), [
      '{__name__="constant", i="0"} 42 1700000000000',
      '{__name__="constant", i="0"} 42 1700000015000',
      '{__name__="constant", i="0"} 42 1700000030000',
    ]);
    const [first] = shoal("dump", "--json", ...args, folder).stdout.split("\n");
    assert.deepEqual(JSON.parse(first!), {
      metric: { __name__: "constant", i: "0" },
      samples: [1700000000000, 1700000015000, 1700000030000].map((t) => [t, "42"]),
    });
    // promtool: no selector is everything, an empty one is nothing.
    const dumped = (...flags: string[]): string => shoal("dump", ...flags, folder).stdout;
    const constant = '--match={__name__="constant"}';
    assert.equal(dumped("--match={}"), "");
    assert.equal(dumped("--match={}", constant), dumped(constant));
    assert.equal(dumped('--match={nobody=""}'), dumped());
    assert.equal(shoal("dump-openmetrics", "--match={}", folder).stdout, "# EOF\n");
    const listed: unknown = JSON.parse(shoal("list", "--json", folder).stdout);
    assert.equal((listed as { size: number }[])[0]!.size, 5188);
    assert.equal(
      JSON.parse(shoal("analyze", "--json", "--limit=1", folder).stdout).commonPairs[0].name,
      "i=0",
    );
    assert.deepEqual(
      JSON.parse(shoal("analyze", "--json", "--extended", folder).stdout).chunks
        .samplesPerFloatChunk,
      {
        min: 1,
        avg: 72,
        max: 143,
        bars: [
          { from: 1, to: 100, count: 5 },
          { from: 101, to: 200, count: 4 },
          { from: 201, to: 300, count: 0 },
        ],
      },
    );
  });

  test("verify names what is wrong and exits 1", async () => {
    const folder = await goldenFolder("verify");
    const [ulid] = (await readdir(folder)).filter((name) => name !== "wal");
    assert.equal(
      shoal("verify", folder).stdout,
      `${folder}/${ulid}: ok, 12 series, 17 chunks, 786 samples\n`,
    );
    assert.equal(shoal("verify", join(folder, ulid!)).status, 0);
    const path = join(folder, ulid!, "chunks/000001");
    const bytes = await readFile(path);
    bytes[100]! ^= 1;
    await chmod(path, 0o644);
    await writeFile(path, bytes);
    const { status, stdout } = shoal("verify", folder);
    assert.equal(status, 1);
    assert.match(
      stdout,
      /: damaged, .*\n {2}cannot read .*000001: a chunk has a wrong checksum at offset \d+/,
    );
    assert.equal(JSON.parse(shoal("verify", "--json", folder).stdout)[0].problems.length, 1);
  });

  test("a damaged block is named, and the others are read", async () => {
    const folder = await goldenFolder("partly-damaged");
    const sound = (await readdir(folder)).find((name) => name !== "wal")!;
    const want = ["list", "analyze", "dump", "dump-openmetrics"].map(
      (command) => [command, shoal(command, folder).stdout] as const,
    );
    const noRange = "01M8M000000000000000000000";
    const noIndex = "01M8M000000000000000000001";
    for (const name of [noRange, noIndex])
      await cp(join(folder, sound), join(folder, name), { recursive: true });
    const meta: object = JSON.parse(await readFile(join(folder, sound, "meta.json"), "utf8"));
    await writeFile(join(folder, noRange, "meta.json"), JSON.stringify({ ...meta, minTime: 2e18 }));
    await rm(join(folder, noIndex, "index"));
    for (const [command, stdout] of want) {
      const found = shoal(command, folder);
      assert.equal(found.status, 1);
      assert.match(
        found.stderr,
        /shoal: cannot read .*\/01M8M00+\/meta.json: minTime and maxTime are/,
      );
      if (command.startsWith("dump")) {
        assert.equal(found.stdout, stdout);
        assert.match(found.stderr, /shoal: cannot .*01M8M0+1/);
      }
    }
  });

  test("refuses what is not there", async () => {
    const folder = await goldenFolder("refused");
    const f = (want: number, text: RegExp, ...args: string[]): void => {
      const { status, stderr } = shoal(...args);
      assert.equal(status, want);
      assert.match(stderr, text);
    };
    f(1, /cannot read data folder .*none/, "list", join(folder, "none"));
    f(1, /block X not found/, "analyze", folder, "X");
    f(2, /'--limit <n>' argument '0' is invalid/, "analyze", "--limit=0", folder);
    f(2, /'--min-time <ms>' argument 'x' is invalid/, "dump", "--min-time=x", folder);
    f(2, /argument '{' is invalid\. .*parse error/, "dump", "--match={", folder);
    f(2, /'--scrapes <n>' argument '1.5'/, "bench", "write", "--scrapes=1.5");
  });
});

test("figures are spelled as Go spells them", () => {
  assert.deepEqual([0, 7, 999, 1000, 61_500, 7_200_000, 4_485_007, -90_000].map(goDuration), [
    "0s",
    "7ms",
    "999ms",
    "1s",
    "1m1.5s",
    "2h0m0s",
    "1h14m45.007s",
    "-1m30s",
  ]);
  assert.equal(goTime(1_699_999_999_994), "2023-11-14 22:13:19 +0000 UTC");
  assert.deepEqual([0, 1, 5188, 2 ** 30 + 5].map(binarySize), ["0B", "1B", "5KiB68B", "1GiB5B"]);
  assert.equal(
    table([
      ["a", "b"],
      ["long enough cell", "c"],
    ]),
    "a                 b\nlong enough cell  c",
  );
});
