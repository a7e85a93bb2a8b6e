import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { systemClock } from "./clock.ts";
import { silentLogger } from "./logger.ts";
import { Registry } from "./metrics.ts";
import { endProcess, identifyProcess, isRunning, residentBytes } from "./process-identity.ts";
import { SupervisedProcess } from "./supervised-process.ts";

/** Runs `script` under supervision; `delays` collects the pauses before restarts, which are not waited for. */
function supervise(script: string): {
  process: SupervisedProcess;
  delays: number[];
  started: (count: number) => Promise<void>;
} {
  const delays: number[] = [];
  let starts = 0;
  const waiters: (() => void)[] = [];
  const process_ = new SupervisedProcess(
    {
      name: "child",
      command: process.execPath,
      args: ["-e", script],
      environment: {},
      withChannel: true,
    },
    {
      clock: {
        ...systemClock,
        after: (delayMs, run) => {
          if (delayMs >= 20_000) return systemClock.after(delayMs, run);
          delays.push(delayMs);
          return systemClock.after(0, run);
        },
      },
      logger: silentLogger,
      registry: new Registry(),
      onMessage: () => {
        starts++;
        for (const waiter of waiters) waiter();
      },
    },
  );
  const started = async (count: number): Promise<void> => {
    while (starts < count) await new Promise<void>((resolve) => waiters.push(resolve));
  };
  return { process: process_, delays, started };
}

test("a child that ends by itself is started again, with doubling pauses", async () => {
  const { process: child, delays, started } = supervise("process.send(1, () => process.exit(3))");
  child.start();
  await started(4);
  assert.equal(child.error, "it ended with code 3");
  await child.stop();
  assert.deepEqual(delays.slice(0, 3), [100, 200, 400]);
  assert.ok(child.restarts >= 3);
});

test("a child that is asked to stop is not started again, and is gone afterwards", async () => {
  const script =
    "process.on('SIGTERM', () => process.exit(0)); process.send(1); setInterval(() => {}, 1000)";
  const { process: child, delays, started } = supervise(script);
  child.start();
  await started(1);
  const identity = identifyProcess(child.pid!);
  assert.ok(isRunning(identity));
  await child.stop();
  assert.equal(isRunning(identity), false);
  assert.equal(child.pid, undefined);
  assert.deepEqual(delays, []);
});

test("a program that cannot be started is reported", async () => {
  const { promise: changed, resolve } = Promise.withResolvers<void>();
  const child = new SupervisedProcess(
    { name: "none", command: "/nonexistent/program", args: [], environment: {} },
    {
      clock: { ...systemClock, after: () => () => {} },
      logger: silentLogger,
      registry: new Registry(),
      onChange: () => {
        if (child.error !== "") resolve();
      },
    },
  );
  child.start();
  await changed;
  assert.match(child.error, /ENOENT/);
  await child.stop();
});

test("a command may be another one at each start, and the end is told", async () => {
  let starts = 0;
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  const child: SupervisedProcess = new SupervisedProcess(
    () => ({
      name: "child",
      command: process.execPath,
      args: ["-e", starts++ < 2 ? "process.exit(7)" : "process.kill(process.pid, 'SIGKILL')"],
      environment: {},
    }),
    {
      clock: { ...systemClock, after: (_delayMs, run) => systemClock.after(0, run) },
      logger: silentLogger,
      registry: new Registry(),
      onChange: () => {
        if (child.end?.signal === "SIGKILL") resolve();
      },
    },
  );
  child.start();
  await ended;
  await child.stop();
  assert.equal(child.error, "it was ended by SIGKILL");
});

test("a process of somebody else is asked to end, then killed", async () => {
  const stubborn = spawn(
    process.execPath,
    ["-e", "process.on('SIGTERM', () => {}); console.log(1); setInterval(() => {}, 1000)"],
    { stdio: ["ignore", "pipe", "ignore"] },
  );
  await once(stubborn.stdout, "data");
  const identity = identifyProcess(stubborn.pid!);
  assert.ok(residentBytes(identity.pid) > 1e6 || process.platform !== "linux");
  const exit = once(stubborn, "exit");
  await endProcess(identity, { clock: systemClock, drainMs: 100 });
  assert.deepEqual(await exit, [null, "SIGKILL"]);
  assert.equal(isRunning(identity), false);
  assert.equal(residentBytes(2 ** 22 + 1), 0);
});

test("a process is told apart from a later one with its number", () => {
  const self = identifyProcess(process.pid);
  assert.ok(isRunning(self));
  assert.equal(isRunning({ pid: process.pid, startTicks: "1" }), false);
  assert.equal(isRunning({ pid: 2 ** 22 + 1, startTicks: "" }), false);
});
