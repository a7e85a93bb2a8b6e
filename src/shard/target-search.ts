import { didYouMean } from "../base/text.ts";
import type { Labels } from "../model/labels.ts";
import type { DroppedTarget, Target } from "../model/target.ts";
import { parseSelector } from "../promql/parser.ts";
import type { CoordinatorView } from "./coordinator.ts";
import type { DecisionLog, LoggedDecision } from "./decision-log.ts";

/** What people mean by a target: its hash, its URL, `{job="node",instance="a:9100"}`, or a part of what names it. */
export interface FoundTargets {
  readonly active: readonly Target[];
  /** Dropped by relabelling. */
  readonly dropped: readonly DroppedTarget[];
  /** Neither discovered nor scraped any more, but there are decisions about it. */
  readonly gone: readonly LoggedDecision[];
}

/** Names that are compared letter by letter when nothing matches: the rest would hold up the coordinator. */
const NEAR_SCAN_MAX = 10_000;
const NEAR_SHOWN = 5;

/** All targets that are discovered or scraped. */
export function activeTargets(view: CoordinatorView): Map<string, Target> {
  const targets = new Map<string, Target>();
  const configured = new Set(view.jobs.map(({ job }) => job));
  for (const { targets: listed } of view.jobs)
    for (const target of listed) targets.set(target.hash, target);
  // A held job's targets are scraped though they are not listed.
  for (const { statuses, specs } of view.shards)
    for (const hash of statuses.keys()) {
      const target = specs.get(hash)?.target;
      if (target !== undefined && configured.has(target.job) && !targets.has(hash))
        targets.set(hash, target);
    }
  return targets;
}

/** The first of these readings that finds any: hash, URL, matchers, instance or address, job, part of the URL's host. */
export function findTargets(view: CoordinatorView, log: DecisionLog, text: string): FoundTargets {
  const targets = activeTargets(view);
  const known = targets.get(text);
  if (known !== undefined) return { active: [known], dropped: [], gone: [] };
  const dropped = view.jobs.flatMap((job) => job.dropped());
  for (const reading of readingsOf(text)) {
    const active = [...targets.values()].filter((target) =>
      reading({ job: target.job, labels: target.allLabels, url: target.url }),
    );
    const left = dropped.filter((target) => reading(describeDropped(target)));
    if (active.length + left.length > 0) return { active, dropped: left, gone: [] };
  }
  const gone = /^\d{1,20}$/.test(text)
    ? log.about(text).slice(0, 1)
    : [...log.lastOfEach()].filter(({ hash, url }) => url === text && !targets.has(hash!));
  return { active: [], dropped: [], gone };
}

/** What is near to `text`, for whoever has mistyped it: URLs and instances. */
export function nearTargets(view: CoordinatorView, text: string): string[] {
  const urls = [...activeTargets(view).values()].map(({ url }) => url);
  const needle = text.toLowerCase();
  const near = new Set<string>();
  for (const url of urls) {
    if (near.size === NEAR_SHOWN) return [...near];
    if (needle.length > 1 && url.toLowerCase().includes(needle)) near.add(url);
  }
  const shortened = urls.slice(0, NEAR_SCAN_MAX);
  const names = new Map<string, string>();
  for (const url of shortened) names.set(url, url).set(hostOf(url), url);
  const meant = didYouMean(text, names.keys());
  if (meant !== undefined) near.add(names.get(meant)!);
  return [...near];
}

interface Described {
  readonly job: string;
  readonly labels: Labels;
  readonly url: string;
}

function describeDropped({ job, discoveredLabels }: DroppedTarget): Described {
  const label = (name: string): string => discoveredLabels.get(name);
  return {
    job,
    labels: discoveredLabels,
    url: `${label("__scheme__")}://${label("__address__")}${label("__metrics_path__")}`,
  };
}

function readingsOf(text: string): ((target: Described) => boolean)[] {
  if (text.startsWith("{")) {
    const matchers = parseSelector(text);
    return [({ labels }) => matchers.every((each) => each.matches(labels.get(each.name)))];
  }
  const slash = text.indexOf("/");
  const job = text.slice(0, Math.max(slash, 0));
  const name = text.slice(slash + 1);
  const isNamed = (labels: Labels, value: string): boolean =>
    labels.get("instance") === value || labels.get("__address__") === value;
  return [
    ({ url }) => url === text || url === `${text}/`,
    ({ labels }) => isNamed(labels, text),
    (target) => slash > 0 && target.job === job && isNamed(target.labels, name),
    (target) => target.job === text,
    ({ url }) => hostOf(url) === text || hostOf(url).replace(/:\d+$/, "") === text,
  ];
}

/** `host:port` of a URL. */
function hostOf(url: string): string {
  return /^[a-z]+:\/\/([^/?#]*)/.exec(url)?.[1] ?? url;
}
