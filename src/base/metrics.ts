import { formatSampleValue } from "./float.ts";

/**
 * The program's own metrics: counters, gauges, histograms and summaries, written as text exposition 0.0.4
 * for `/metrics`. Names are Prometheus's where Prometheus has the metric, Thanos's or Kvass's where they have it.
 */
export type MetricType = "counter" | "gauge" | "histogram" | "summary";

export interface Counter {
  inc(amount?: number): void;
  readonly value: number;
}

export interface Gauge extends Counter {
  set(value: number): void;
}

export interface Histogram {
  observe(value: number): void;
}

/** Sum and count of what was observed, without quantiles. */
export type Summary = Histogram;

export type LabelSet = Readonly<Record<string, string>>;

interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: MetricType;
  readonly children: Map<string, Child>;
}

interface Child {
  readonly labels: string;
  value: number;
  collect?: () => number;
  buckets?: { bounds: readonly number[]; counts: Float64Array; sum: number };
  summary?: { sum: number; count: number };
}

export class Registry {
  readonly #families = new Map<string, Family>();

  counter(name: string, help: string, labels: LabelSet = {}): Counter {
    return handle(this.#child({ name, help, type: "counter" }, labels));
  }

  gauge(name: string, help: string, labels: LabelSet = {}): Gauge {
    return handle(this.#child({ name, help, type: "gauge" }, labels));
  }

  /** A value read when `/metrics` is scraped. */
  collect(
    family: { name: string; help: string; type: "counter" | "gauge" },
    labels: LabelSet,
    read: () => number,
  ): void {
    this.#child(family, labels).collect = read;
  }

  histogram(
    name: string,
    help: string,
    options: { bounds: readonly number[]; labels?: LabelSet },
  ): Histogram {
    const child = this.#child({ name, help, type: "histogram" }, options.labels ?? {});
    const buckets = (child.buckets ??= {
      bounds: options.bounds,
      counts: new Float64Array(options.bounds.length + 1),
      sum: 0,
    });
    return {
      observe(value) {
        let i = 0;
        while (i < buckets.bounds.length && value > buckets.bounds[i]!) i++;
        buckets.counts[i]! += 1;
        buckets.sum += value;
      },
    };
  }

  summary(name: string, help: string, labels: LabelSet = {}): Summary {
    const child = this.#child({ name, help, type: "summary" }, labels);
    const summary = (child.summary ??= { sum: 0, count: 0 });
    return {
      observe(value) {
        summary.sum += value;
        summary.count++;
      },
    };
  }

  /** Forgets the children of family `name` whose labels equal `labels`. */
  remove(name: string, labels: LabelSet): void {
    this.#families.get(name)?.children.delete(renderLabels(labels));
  }

  /** The text exposition (0.0.4) of all metrics, families sorted by name. */
  expose(): string {
    let text = "";
    for (const name of [...this.#families.keys()].sort()) {
      const family = this.#families.get(name)!;
      text += `# HELP ${name} ${family.help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}\n# TYPE ${name} ${family.type}\n`;
      for (const child of family.children.values()) text += expose(name, child);
    }
    return text;
  }

  #child(family: { name: string; help: string; type: MetricType }, labels: LabelSet): Child {
    let known = this.#families.get(family.name);
    if (known === undefined)
      this.#families.set(family.name, (known = { ...family, children: new Map() }));
    if (known.type !== family.type)
      throw new Error(`BUG: metric ${family.name} is a ${known.type}, not a ${family.type}`);
    const key = renderLabels(labels);
    let child = known.children.get(key);
    if (child === undefined) known.children.set(key, (child = { labels: key, value: 0 }));
    return child;
  }
}

function handle(child: Child): Gauge {
  return {
    inc(amount = 1) {
      child.value += amount;
    },
    set(value) {
      child.value = value;
    },
    get value() {
      return child.value;
    },
  };
}

function expose(name: string, child: Child): string {
  const { buckets, summary, labels } = child;
  if (buckets !== undefined) return exposeHistogram(name, child);
  if (summary !== undefined)
    return line(`${name}_sum`, labels, summary.sum) + line(`${name}_count`, labels, summary.count);
  return line(name, labels, child.collect?.() ?? child.value);
}

function exposeHistogram(name: string, child: Child): string {
  const { bounds, counts, sum } = child.buckets!;
  let text = "";
  let cumulative = 0;
  for (let i = 0; i <= bounds.length; i++) {
    cumulative += counts[i]!;
    const le = `le="${i < bounds.length ? formatSampleValue(bounds[i]!) : "+Inf"}"`;
    text += line(`${name}_bucket`, child.labels === "" ? le : `${child.labels},${le}`, cumulative);
  }
  return (
    text + line(`${name}_sum`, child.labels, sum) + line(`${name}_count`, child.labels, cumulative)
  );
}

function line(name: string, labels: string, value: number): string {
  return `${name}${labels === "" ? "" : `{${labels}}`} ${formatSampleValue(value)}\n`;
}

function renderLabels(labels: LabelSet): string {
  return Object.entries(labels)
    .map(
      ([name, value]) =>
        `${name}="${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`,
    )
    .join(",");
}
