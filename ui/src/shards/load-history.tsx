import "uplot/dist/uPlot.min.css";
import { Text, useComputedColorScheme } from "@mantine/core";
import { useEffect, useMemo, useRef } from "react";
import uPlot from "uplot";
import type { ShardHistory } from "../api.ts";
import { formatCount } from "../format.ts";

const HEIGHT = 56;

/** A time without points longer than this is a gap, in seconds. */
const GAP_SECONDS = 120;

/** Load over time as an area, and its limit as a line. */
export function LoadHistory({ shard, history }: { shard: string; history: ShardHistory }) {
  const host = useRef<HTMLDivElement>(null);
  const dark = useComputedColorScheme("light") === "dark";
  const { data, name, last } = useMemo(() => columns(history), [history]);
  useEffect(() => {
    const element = host.current!;
    const colour = dark ? "#3bc9db" : "#1098ad";
    const limit = dark ? "#ff8787" : "#e03131";
    const chart = new uPlot(
      {
        width: Math.max(120, element.clientWidth),
        height: HEIGHT,
        padding: [4, 0, 2, 0],
        legend: { show: false },
        cursor: { show: false },
        scales: { y: { range: (_self, _min, max) => [0, Math.max(1, max * 1.08)] } },
        axes: [{ show: false }, { show: false }],
        series: [
          {},
          { stroke: colour, fill: `${colour}33`, width: 1.5, points: { show: false } },
          { stroke: limit, width: 1, dash: [4, 3], points: { show: false } },
        ],
      },
      data,
      element,
    );
    const resize = new ResizeObserver(() =>
      chart.setSize({ width: Math.max(120, element.clientWidth), height: HEIGHT }),
    );
    resize.observe(element);
    return () => {
      resize.disconnect();
      chart.destroy();
    };
  }, [data, dark]);
  return (
    <div>
      <div
        ref={host}
        role="img"
        aria-label={`${name} of ${shard} over the last hour, now ${formatCount(last)}`}
        data-testid="load-history"
      />
      <Text size="xs" c="dimmed">
        {name}, last hour
      </Text>
    </div>
  );
}

/** Head series when they are limited, else what is; a gap where the shard did not answer. */
function columns(history: ShardHistory): { data: uPlot.AlignedData; name: string; last: number } {
  const byHead = (history.maxHeadSeries.at(-1) ?? 0) > 0;
  const values = byHead ? history.headSeries : history.processSeries;
  const limits = byHead ? history.maxHeadSeries : history.maxProcessSeries;
  const times: number[] = [];
  const load: (number | null)[] = [];
  const limit: (number | null)[] = [];
  for (const [i, timeMs] of history.timesMs.entries()) {
    const seconds = timeMs / 1000;
    if (i > 0 && seconds - times.at(-1)! > GAP_SECONDS) {
      times.push(seconds - 1);
      load.push(null);
      limit.push(null);
    }
    times.push(seconds);
    load.push(values[i]!);
    limit.push(limits[i]! > 0 ? limits[i]! : null);
  }
  return {
    data: [times, load, limit],
    name: byHead ? "Head series" : "Scraped series",
    last: values.at(-1) ?? 0,
  };
}
