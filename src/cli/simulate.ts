import { readFile, writeFile } from "node:fs/promises";
import { AppError, messageOf } from "../base/errors.ts";
import { type Random, seededRandom } from "../base/random.ts";
import type { Limits } from "../shard/load.ts";
import type { AssignedTarget } from "../shard/wire.ts";
import { drawChart } from "../simulate/chart.ts";
import { scheduleFaults } from "../simulate/faults.ts";
import { makeHistory } from "../simulate/fleet-history.ts";
import { makeReport } from "../simulate/report.ts";
import { printReport } from "../simulate/report-text.ts";
import type { SimTarget } from "../simulate/sim-target.ts";
import { START_DELAY_MOST } from "../simulate/world.ts";
import { simulate, START_MS } from "../simulate/simulation.ts";
import { SyntheticTargets } from "../simulate/synthetic-targets.ts";
import { DumpClones, readTargetsDump } from "../simulate/targets-dump.ts";
import { coordinatorOptionsOf } from "./coordinator-role.ts";
import { type FlagValues, printFlags } from "./flags.ts";
import { ProgressBar } from "./progress-bar.ts";
import { SIMULATE_FLAGS } from "./simulate-flags.ts";

type SimulateValues = FlagValues<typeof SIMULATE_FLAGS>;

interface Fleet {
  readonly name: string;
  readonly targets: readonly SimTarget[];
  readonly placement: readonly (readonly AssignedTarget[])[];
}

/** A dump of 100,000 targets is about 100 MB. */
const DUMP_MAX_BYTES = 256 * 1024 ** 2;
const DUMP_TIMEOUT_MS = 60_000;

/** How much larger than a shard's limit an oversized target is. */
const OVERSIZE = 1.5;

/** What says how the result is shown, and not what is run. */
const OUTPUT_FLAGS = new Set(["json", "svg", "check"]);

/** `shoal simulate`: a fleet, a scenario, and what planner and coordinator make of them. */
export async function runSimulate(flags: SimulateValues): Promise<void> {
  const startedMs = performance.now();
  const coordinator = coordinatorOptionsOf(flags);
  // Each thing that chance decides draws from a source of its own, so that one flag does not change all the others.
  const [fleetRandom, faultRandom] = [seededRandom(flags.seed), seededRandom(~flags.seed)];
  const fleet = await fleetOf(flags, fleetRandom, coordinator.plan.limits);
  const bounds = {
    maxWaitMs: flags.maxWait,
    // When no other shard has room, a new one has to start.
    maxLossGapMs: flags.failoverGrace + START_DELAY_MOST * flags.startDelay,
    slackMs: flags.slack,
  };
  const progress = new ProgressBar(process.stderr);
  const result = await simulate(
    {
      fleet: fleet.targets,
      placement: fleet.placement,
      durationMs: flags.duration,
      seed: flags.seed,
      coordinator,
      startDelayMs: flags.startDelay,
      retentionMs: flags.retentionTime,
      refreshMs: flags.refreshInterval,
      faults: scheduleFaults(
        { ...flags, durationMs: flags.duration, holdMs: flags.sdHoldTime },
        faultRandom,
      ),
      bounds,
    },
    (share) => progress.show(share),
  );
  progress.clear();
  const report = makeReport(result, {
    fleet: fleet.name,
    scenario: scenarioOf(flags),
    bounds,
    perShardHour: flags.perShardHour,
    wallMs: performance.now() - startedMs,
  });
  if (flags.svg !== "") await writeChart(flags.svg, drawChart(report));
  process.stdout.write(flags.json ? `${JSON.stringify(report, null, 2)}\n` : printReport(report));
  if (flags.check && report.promises.some(({ isKept }) => !isKept)) process.exitCode = 1;
}

async function fleetOf(flags: SimulateValues, random: Random, limits: Limits): Promise<Fleet> {
  const life = { growthPerDay: flags.growth, churnPerHour: flags.seriesChurn };
  const common = {
    curve: flags.fleet,
    churnPerHour: flags.targetChurn,
    startMs: START_MS,
    durationMs: flags.duration,
    random,
  };
  if (flags.from === "") {
    const maker = new SyntheticTargets({ ...flags, intervalsMs: flags.intervals, life, random });
    const targets = makeHistory({
      ...common,
      targets: flags.targets,
      initial: [],
      make: (bornMs) => maker.make(bornMs),
    });
    const oversized = Array.from({ length: flags.oversized }, () =>
      maker.makeOversized(Math.round(OVERSIZE * seriesLimit(limits)), START_MS),
    );
    return { name: "a made-up fleet", targets: [...targets, ...oversized], placement: [] };
  }
  const text = await readSource(flags.from);
  const intervalMs = flags.intervals[0]!;
  const dump = readTargetsDump(text, {
    source: flags.from,
    intervalMs,
    life,
    startMs: START_MS,
    random,
  });
  const clones = new DumpClones(dump.targets, random);
  const targets = makeHistory({
    ...common,
    targets: dump.targets.length,
    initial: dump.targets,
    make: (bornMs) => clones.make(bornMs),
  });
  return { name: flags.from, targets, placement: flags.fresh ? [] : dump.placement };
}

function seriesLimit({ maxHeadSeries, maxProcessSeries }: Limits): number {
  return maxHeadSeries === 0 ? maxProcessSeries : Math.min(maxHeadSeries, maxProcessSeries);
}

async function readSource(source: string): Promise<string> {
  try {
    if (!/^https?:\/\//.test(source)) return await readFile(source, "utf8");
    const response = await fetch(source, { signal: AbortSignal.timeout(DUMP_TIMEOUT_MS) });
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    return await readBody(response);
  } catch (error) {
    if (error instanceof AppError) throw error;
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    throw new AppError("unavailable", `cannot read ${source}: ${messageOf(cause)}`);
  }
}

async function readBody(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let size = 0;
  for await (const piece of response.body ?? []) {
    size += piece.length;
    if (size > DUMP_MAX_BYTES)
      throw new AppError(
        "resource-exhausted",
        `cannot read ${response.url}: more than ${DUMP_MAX_BYTES} bytes`,
      );
    text += decoder.decode(piece, { stream: true });
  }
  return text + decoder.decode();
}

function scenarioOf(flags: SimulateValues): Record<string, string> {
  const printed = printFlags(SIMULATE_FLAGS, flags);
  return Object.fromEntries(Object.entries(printed).filter(([name]) => !OUTPUT_FLAGS.has(name)));
}

async function writeChart(path: string, svg: string): Promise<void> {
  try {
    await writeFile(path, svg);
  } catch (error) {
    throw new AppError("unavailable", `cannot write ${path}: ${messageOf(error)}`);
  }
}
