import { formatDuration } from "../base/units.ts";
import { axis, type Frame, LEFT, type PanelTitle, RIGHT, WIDTH } from "./chart-frame.ts";
import type { Report } from "./report.ts";
import { grouped } from "./report-text.ts";
import type { Sample } from "./simulation.ts";
import { bandPath, element, linePath, niceTicks, type Point, steps } from "./svg.ts";

/** Bars in a panel, at most. */
const BARS = 144;

export interface Panel extends PanelTitle {
  readonly height: number;
  readonly draw: (frame: Frame) => string;
}

export function panelsOf({ timeline }: Report): Panel[] {
  const bars = binned(timeline);
  const every = formatDuration(bars.binMs);
  return [
    {
      title: "Targets",
      height: 60,
      legend: [],
      draw: (frame) => {
        const scale = axis(
          frame,
          niceTicks(
            max(timeline, (s) => s.targets),
            2,
          ),
          grouped,
        );
        const points = pointsOf(timeline, frame, (s) => scale(s.targets));
        return scale.grid + element("path", { class: "bold", d: linePath(points) });
      },
    },
    {
      title: "Shards",
      height: 150,
      legend: [
        { className: "area", text: "running" },
        { className: "bold", text: "asked for" },
      ],
      draw: (frame) => {
        const most = max(timeline, (s) => Math.max(s.desired, s.running));
        const scale = axis(frame, niceTicks(most, 4), grouped);
        const running = steps(pointsOf(timeline, frame, (s) => scale(s.running)));
        const zero = running.map(({ x }) => ({ x, y: scale(0) }));
        const asked = steps(pointsOf(timeline, frame, (s) => scale(s.desired)));
        return (
          element("path", { class: "area", d: bandPath(running, zero) }) +
          scale.grid +
          element("path", { class: "bold", d: linePath(asked) })
        );
      },
    },
    {
      title: "Load, % of a shard's limit",
      height: 120,
      legend: [
        { className: "line", text: "mean of the shards" },
        { className: "area", text: "up to the fullest" },
        { className: "limit", text: "limit" },
      ],
      draw: (frame) => {
        const ticks = niceTicks(
          Math.max(
            1,
            max(timeline, (s) => s.maxUse),
          ) * 100,
          3,
        );
        const scale = axis(frame, ticks, String);
        const mean = pointsOf(timeline, frame, (s) => scale(s.meanUse * 100));
        const fullest = pointsOf(timeline, frame, (s) => scale(s.maxUse * 100));
        const y = scale(Math.min(100, ticks.at(-1)!));
        return (
          element("path", { class: "area", d: bandPath(fullest, mean) }) +
          scale.grid +
          element("line", { class: "limit", x1: LEFT, x2: WIDTH - RIGHT, y1: y, y2: y }) +
          element("path", { class: "line", d: linePath(mean) })
        );
      },
    },
    {
      title: `Moves per ${every}`,
      height: 70,
      legend: [],
      draw: (frame) => {
        const scale = axis(frame, niceTicks(Math.max(...bars.moves), 2), grouped);
        return scale.grid + drawBars(frame, bars, { className: "bar", values: bars.moves, scale });
      },
    },
    {
      title: `Scrapes per ${every} that were`,
      height: 110,
      legend: [
        { className: "bar", text: "doubled (up)" },
        { className: "bar-loss", text: "missed by the loss of a shard (down)" },
        { className: "bar-gap", text: "missed otherwise (down)" },
      ],
      draw: (frame) => drawScrapes(frame, bars),
    },
  ];
}

function drawScrapes(frame: Frame, bars: Bars): string {
  const up = niceTicks(Math.max(...bars.overlaps), 2);
  const missed = bars.lossGaps.map((count, i) => count + bars.gaps[i]!);
  const down = niceTicks(Math.max(...missed), 2);
  const half = frame.height / 2;
  const upper = axis({ ...frame, height: half }, up, grouped);
  const lowerFrame = { ...frame, top: frame.top + half, height: half };
  const lower = axis(lowerFrame, down, grouped, "down");
  return (
    upper.grid +
    lower.grid +
    drawBars(frame, bars, { className: "bar", values: bars.overlaps, scale: upper }) +
    drawBars(frame, bars, { className: "bar-loss", values: missed, scale: lower }) +
    drawBars(frame, bars, { className: "bar-gap", values: bars.gaps, scale: lower })
  );
}

interface Bars {
  readonly binMs: number;
  readonly moves: readonly number[];
  readonly overlaps: readonly number[];
  readonly lossGaps: readonly number[];
  readonly gaps: readonly number[];
}

function binned(timeline: readonly Sample[]): Bars {
  const perBin = Math.max(1, Math.ceil(timeline.length / BARS));
  const binMs = perBin * (timeline[0]?.atMs ?? 1);
  const sums = (value: (sample: Sample) => number): number[] => {
    const bins = Array.from({ length: Math.ceil(timeline.length / perBin) }, () => 0);
    for (const [i, sample] of timeline.entries()) bins[Math.floor(i / perBin)]! += value(sample);
    return bins;
  };
  return {
    binMs,
    moves: sums((sample) => sample.moves),
    overlaps: sums((sample) => sample.overlaps),
    lossGaps: sums((sample) => sample.lossGaps),
    gaps: sums((sample) => sample.gaps),
  };
}

function drawBars(
  { x }: Frame,
  { binMs }: Bars,
  bars: { className: string; values: readonly number[]; scale: (value: number) => number },
): string {
  const zero = bars.scale(0);
  const parts = bars.values.flatMap((value, i) => {
    if (value === 0) return [];
    const from = x(i * binMs);
    const width = Math.max(1, x((i + 1) * binMs) - from - 0.6);
    const y = bars.scale(value);
    return [element("rect", { x: from, y: Math.min(y, zero), width, height: Math.abs(zero - y) })];
  });
  return parts.length === 0 ? "" : element("g", { class: bars.className }, parts.join(""));
}

function pointsOf(
  timeline: readonly Sample[],
  { x }: Frame,
  y: (sample: Sample) => number,
): Point[] {
  return timeline.map((sample) => ({ x: x(sample.atMs), y: y(sample) }));
}

function max(timeline: readonly Sample[], value: (sample: Sample) => number): number {
  return Math.max(0, ...timeline.map(value));
}
