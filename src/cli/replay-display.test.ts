import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../base/clock.ts";
import { createLogger } from "../base/logger.ts";
import { ReplayDisplay } from "./replay-display.ts";

/** What a replay of 400 bytes writes, ten of them a second. */
function shown(options: { isTTY: boolean; isShared: boolean }): { bar: string; lines: string[] } {
  let nowMs = 0;
  let bar = "";
  const lines: string[] = [];
  const stream = { isTTY: options.isTTY, write: (text: string) => (bar += text) };
  const display = new ReplayDisplay({
    stream: stream as unknown as NodeJS.WriteStream,
    isShared: options.isShared,
    logger: createLogger({ write: (line) => lines.push(line), now: () => 0 }),
    clock: { ...systemClock, monotonic: () => nowMs },
  });
  for (let byteCount = 0; byteCount <= 160; byteCount++, nowMs += 100)
    display.show({ segmentCount: 1, segmentTotal: 3, byteCount, byteTotal: 400 });
  display.end();
  return { bar, lines };
}

test("a replay draws a bar on a terminal, and tells the log elsewhere", () => {
  const onTerminal = shown({ isTTY: true, isShared: false });
  assert.deepEqual(onTerminal.lines, []);
  const drawings = onTerminal.bar.split("\r");
  assert.equal(drawings.length, 1 + 41 + 1);
  assert.equal(drawings.at(-2), `${"█".repeat(16)}${"░".repeat(24)}  40% of the log replayed`);
  assert.equal(drawings.at(-1), "\x1b[K");
  for (const options of [
    { isTTY: false, isShared: false },
    { isTTY: true, isShared: true },
  ]) {
    const { bar, lines } = shown(options);
    assert.equal(bar, "");
    assert.deepEqual(
      lines.map((line) => /msg=.*/.exec(line)![0]),
      [12, 25, 37].map(
        (percent) => `msg="replaying the write-ahead log" percent=${percent} segments=1/3`,
      ),
    );
  }
});
