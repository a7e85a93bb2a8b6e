import "uplot/dist/uPlot.min.css";
import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useMemo, useRef, useState } from "react";
import uPlot from "uplot";
import { formatSeriesName } from "../api.ts";
import { formatCount, parseValue } from "../format.ts";
import type { Line } from "./result.ts";

export interface GraphProps {
  lines: Line[];
  /** Unix seconds. */
  start: number;
  end: number;
  step: number;
  /** Called with the range a person dragged over. */
  onZoom: (start: number, end: number) => void;
}

/** More lines than this tell nothing and cost seconds: the first are drawn, and the page says so. */
export const DRAWN_SERIES_MAX = 300;

const PALETTE = [
  "#1098ad",
  "#e8590c",
  "#5f3dc4",
  "#2b8a3e",
  "#c2255c",
  "#1971c2",
  "#f08c00",
  "#087f5b",
  "#9c36b5",
  "#e03131",
  "#66a80f",
  "#0b7285",
];
const PALETTE_DARK = [
  "#3bc9db",
  "#ffa94d",
  "#b197fc",
  "#69db7c",
  "#f783ac",
  "#74c0fc",
  "#ffd43b",
  "#38d9a9",
  "#da77f2",
  "#ff8787",
  "#a9e34b",
  "#66d9e8",
];

const HEIGHT = 380;

/** Lines over time: drag to zoom, click a name to hide it, hover for values. Gaps stay gaps. */
export function Graph({ lines, start, end, step, onZoom }: GraphProps) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const dark = useComputedColorScheme("light") === "dark";
  const [hidden, setHidden] = useState<ReadonlySet<number>>(new Set());
  const [hover, setHover] = useState<{
    left: number;
    top: number;
    index: number;
    series: number;
  } | null>(null);
  const zoom = useRef(onZoom);
  zoom.current = onZoom;

  const drawn = useMemo(() => lines.slice(0, DRAWN_SERIES_MAX), [lines]);
  const names = useMemo(() => drawn.map(({ metric }) => formatSeriesName(metric)), [drawn]);
  const data = useMemo(() => columns(drawn, { start, end, step }), [drawn, start, end, step]);
  const palette = dark ? PALETTE_DARK : PALETTE;
  const colour = (index: number): string => palette[index % palette.length]!;

  useEffect(() => setHidden(new Set()), [lines]);

  useEffect(() => {
    const element = host.current!;
    const axis = {
      stroke: dark ? "#c1c2c5" : "#495057",
      grid: { stroke: dark ? "#3b3d42" : "#e9ecef", width: 1 },
      ticks: { stroke: dark ? "#4a4d55" : "#ced4da", width: 1 },
    };
    const chart = new uPlot(
      {
        width: Math.max(200, element.clientWidth),
        height: HEIGHT,
        padding: [10, 12, 0, 0],
        legend: { show: false },
        cursor: {
          drag: { x: true, y: false, setScale: false },
          focus: { prox: 24 },
          points: { size: 7 },
        },
        focus: { alpha: 0.35 },
        scales: { x: { time: true, min: start, max: end } },
        axes: [
          {
            ...axis,
            space: 76,
            values: (_self, ticks, _axis, _space, increment) =>
              ticks.map((tick) => timeTick(tick, increment)),
          },
          { ...axis, size: 62, values: (_self, ticks) => ticks.map(formatCount) },
        ],
        series: [
          {},
          ...drawn.map((_, index) => ({
            stroke: colour(index),
            width: 1.5,
            spanGaps: false,
            points: { show: isolated(data, index + 1), size: 4 },
          })),
        ],
        hooks: {
          setSelect: [
            (self) => {
              if (self.select.width < 4) return;
              const from = self.posToVal(self.select.left, "x");
              const to = self.posToVal(self.select.left + self.select.width, "x");
              self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
              zoom.current(from, to);
            },
          ],
          setCursor: [(self) => setHover(nearest(self))],
        },
      },
      data,
      element,
    );
    plot.current = chart;
    const resize = new ResizeObserver(() =>
      chart.setSize({ width: Math.max(200, element.clientWidth), height: HEIGHT }),
    );
    resize.observe(element);
    return () => {
      resize.disconnect();
      chart.destroy();
      plot.current = null;
      setHover(null);
    };
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [data, dark]);

  const toggle = (index: number, alone: boolean): void => {
    const next = alone
      ? new Set(drawn.map((_, other) => other).filter((other) => other !== index))
      : new Set(hidden);
    // The one line that is left, clicked again, brings all back.
    if (alone && hidden.size === drawn.length - 1 && !hidden.has(index)) next.clear();
    else if (!alone) hidden.has(index) ? next.delete(index) : next.add(index);
    setHidden(next);
    plot.current?.batch(() =>
      drawn.forEach((_, other) => plot.current?.setSeries(other + 1, { show: !next.has(other) })),
    );
  };

  return (
    <div className="graph" style={{ position: "relative" }}>
      <div ref={host} role="img" aria-label={`Graph of ${lines.length} series`} />
      {hover !== null && (
        <Tip
          hover={hover}
          name={names[hover.series] ?? ""}
          colour={colour(hover.series)}
          time={data[0]![hover.index]!}
          value={data[hover.series + 1]?.[hover.index] ?? null}
          width={host.current?.clientWidth ?? 0}
        />
      )}
      <div style={{ maxHeight: 260, overflowY: "auto", marginTop: 8 }}>
        {names.map((name, index) => (
          <button
            key={name}
            type="button"
            className="legend-row"
            aria-pressed={!hidden.has(index)}
            title="Click: only this · Ctrl-click: hide or show"
            onClick={(event) => toggle(index, !(event.ctrlKey || event.metaKey))}
          >
            <span className="swatch" style={{ background: colour(index) }} />
            <span className="mono">{name}</span>
          </button>
        ))}
      </div>
    </div>
  );
}

interface TipProps {
  hover: { left: number; top: number };
  name: string;
  colour: string;
  time: number;
  value: number | null;
  width: number;
}

function Tip({ hover, name, colour, time, value, width }: TipProps) {
  const toLeft = hover.left > width / 2;
  return (
    <div
      className="tooltip"
      style={{
        top: hover.top + 8,
        ...(toLeft ? { right: width - hover.left + 14 } : { left: hover.left + 14 }),
      }}
    >
      <div>{new Date(time * 1000).toLocaleString()}</div>
      <div style={{ display: "flex", gap: 6, alignItems: "baseline" }}>
        <span className="swatch" style={{ background: colour }} />
        <span className="mono">
          {name}: <b>{value ?? "no sample"}</b>
        </span>
      </div>
    </div>
  );
}

/** A tick of the time axis: as much of the local date and time as the distance to the next tick needs. */
function timeTick(seconds: number, increment: number): string {
  const at = new Date(seconds * 1000);
  const two = (value: number): string => String(value).padStart(2, "0");
  const date = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const time = `${two(at.getHours())}:${two(at.getMinutes())}`;
  if (increment >= 86_400 || time === "00:00") return date;
  return increment < 60 ? `${time}:${two(at.getSeconds())}` : time;
}

/** One time column of all steps, and one value column per series with null where there is no sample. */
function columns(
  lines: readonly Line[],
  { start, end, step }: { start: number; end: number; step: number },
): uPlot.AlignedData {
  const count = Math.floor((end - start) / step + 1e-9) + 1;
  const times = Array.from({ length: count }, (_, i) => start + i * step);
  const values = lines.map(({ values: points }) => {
    const column: (number | null)[] = Array.from({ length: count }, () => null);
    for (const [time, text] of points) {
      const index = Math.round((time - start) / step);
      const value = parseValue(text);
      if (index >= 0 && index < count && Number.isFinite(value)) column[index] = value;
    }
    return column;
  });
  return [times, ...values];
}

/** Whether a series has points without neighbours, which no line would show. */
function isolated(data: uPlot.AlignedData, index: number): boolean {
  const column = data[index]!;
  for (let i = 0; i < column.length; i++)
    if (column[i] != null && column[i - 1] == null && column[i + 1] == null) return true;
  return false;
}

function nearest(self: uPlot): { left: number; top: number; index: number; series: number } | null {
  const { left, top, idx } = self.cursor;
  if (left === undefined || top === undefined || left < 0 || idx == null) return null;
  let best = -1;
  let distance = Infinity;
  for (let i = 1; i < self.series.length; i++) {
    const value = self.data[i]?.[idx];
    if (value == null || self.series[i]!.show === false) continue;
    const away = Math.abs(self.valToPos(value, "y") - top);
    if (away < distance) {
      distance = away;
      best = i - 1;
    }
  }
  const over = self.over.getBoundingClientRect();
  const root = self.root.getBoundingClientRect();
  return best < 0
    ? null
    : {
        left: left + over.left - root.left,
        top: top + over.top - root.top,
        index: idx,
        series: best,
      };
}
