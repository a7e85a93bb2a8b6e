import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLogger } from "./logger.ts";
import { runServices, type Service } from "./service.ts";

function recorded(
  log: string[],
  name: string,
  options: { failStart?: boolean; done?: Promise<never> } = {},
): Service {
  return {
    name,
    async start() {
      log.push(`+${name}`);
      if (options.failStart === true) throw new Error(`cannot start ${name}`);
    },
    async stop() {
      log.push(`-${name}`);
    },
    ...(options.done !== undefined && { done: options.done }),
  };
}

test("services stop in reverse order when the signal aborts", async () => {
  const log: string[] = [];
  const abort = new AbortController();
  await runServices([recorded(log, "a"), recorded(log, "b")], {
    signal: abort.signal,
    logger: silentLogger,
    onReady: () => abort.abort(),
  });
  assert.deepEqual(log, ["+a", "+b", "-b", "-a"]);
});

test("a failed start stops what was started and is the result", async () => {
  const log: string[] = [];
  await assert.rejects(
    runServices([recorded(log, "a"), recorded(log, "b", { failStart: true }), recorded(log, "c")], {
      signal: new AbortController().signal,
      logger: silentLogger,
    }),
    /cannot start b/,
  );
  assert.deepEqual(log, ["+a", "+b", "-b", "-a"]);
});

test("a service that dies takes the others down", async () => {
  const log: string[] = [];
  const { promise, reject } = Promise.withResolvers<never>();
  await assert.rejects(
    runServices([recorded(log, "a"), recorded(log, "b", { done: promise })], {
      signal: new AbortController().signal,
      logger: silentLogger,
      onReady: () => reject(new Error("b died")),
    }),
    /b died/,
  );
  assert.deepEqual(log, ["+a", "+b", "-b", "-a"]);
});
