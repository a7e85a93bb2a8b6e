import type { Random } from "../base/random.ts";
import { Labels } from "../model/labels.ts";
import { hashTarget } from "../model/target-hash.ts";
import type { SimTarget, TargetLife } from "./sim-target.ts";

/** Made-up targets: jobs of different sizes, targets of log-normal sizes. The same options and chance, the same targets. */
export interface SyntheticOptions {
  readonly jobs: number;
  /** The jobs take them in turn. */
  readonly intervalsMs: readonly number[];
  readonly medianSeries: number;
  /** Standard deviation of the logarithm of the sizes; half of the variance is between jobs. */
  readonly sigma: number;
  /** Share of the targets that never answer. */
  readonly downShare: number;
  readonly life: TargetLife;
  readonly random: Random;
}

/** Metric relabelling drops up to this share of what a job exposes. */
const DROPPED_SHARE_MAX = 0.3;
const EXPLORE_MIN_MS = 50;
const EXPLORE_SPREAD = 40;

interface Job {
  readonly name: string;
  readonly intervalMs: number;
  /** What the job's sizes are multiplied by. */
  readonly scale: number;
  readonly rawPerSeries: number;
}

export class SyntheticTargets {
  readonly #options: SyntheticOptions;
  readonly #jobs: readonly Job[];
  #made = 0;

  constructor(options: SyntheticOptions) {
    this.#options = options;
    const { jobs, intervalsMs, random } = options;
    this.#jobs = Array.from({ length: jobs }, (_, i) => ({
      name: `job-${i}`,
      intervalMs: intervalsMs[i % intervalsMs.length]!,
      scale: this.#logNormal(),
      rawPerSeries: 1 / (1 - DROPPED_SHARE_MAX * random.next()),
    }));
  }

  make(bornMs: number): SimTarget {
    const { medianSeries, downShare, random } = this.#options;
    // A few jobs have most of the targets: the square favours the first ones.
    const job = this.#jobs[Math.floor(random.next() ** 2 * this.#jobs.length)]!;
    const series = Math.max(1, Math.round(medianSeries * job.scale * this.#logNormal()));
    const size = { series, rawSeries: Math.round(series * job.rawPerSeries) };
    return this.#build(job, { size, bornMs, isDown: random.next() < downShare });
  }

  /** One of `series` series that stays for the whole run. */
  makeOversized(series: number, bornMs: number): SimTarget {
    const size = { series, rawSeries: series };
    return this.#build(this.#jobs[0]!, { size, bornMs, isDown: false });
  }

  /** One of two equal factors of a target's size. */
  #logNormal(): number {
    const { sigma, random } = this.#options;
    return Math.exp(sigma * Math.SQRT1_2 * normal(random));
  }

  #build(job: Job, what: Pick<SimTarget, "size" | "bornMs" | "isDown">): SimTarget {
    const { life, random } = this.#options;
    const n = this.#made++;
    const instance = `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}:9100`;
    const labels = Labels.fromObject({ instance, job: job.name });
    const url = `http://${instance}/metrics`;
    const { intervalMs } = job;
    return {
      target: {
        hash: hashTarget(labels, url),
        job: job.name,
        allLabels: labels,
        labels,
        discoveredLabels: labels,
        url,
        intervalMs,
        timeoutMs: Math.min(10_000, intervalMs),
      },
      ...what,
      goneMs: Infinity,
      growthPerHour: (2 * random.next() * life.growthPerDay) / 24,
      churnPerHour: life.churnPerHour,
      exploreMs: Math.round(EXPLORE_MIN_MS * EXPLORE_SPREAD ** random.next()),
    };
  }
}

/** A standard normal deviate (Box and Muller). */
function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
}
