import { SegmentedControl, Table, Text } from "@mantine/core";
import { type CSSProperties, type MouseEvent, type ReactNode, useMemo, useState } from "react";
import type { Bucket, Histogram } from "../api.ts";
import { formatCount } from "../format.ts";
import { type Bar, barsOf, formatBounds, type Scale } from "./histogram-bars.ts";

/** Of the picture; bars lower or narrower than a pixel would not be seen. */
const WIDTH = 1000;
const HEIGHT = 100;
const BAR_WIDTH_MIN = 2;
const BAR_HEIGHT_MIN = 1.5;
/** Where the heights are written, in pixels, with the gap to the picture. */
const GUTTER = 48;

export interface HistogramViewProps {
  histogram: Histogram;
  scale: Scale;
}

/** Count and sum, the buckets as a picture, and on demand as a table. */
export function HistogramView({ histogram, scale }: HistogramViewProps) {
  const { buckets = [] } = histogram;
  return (
    <div className="histogram" data-testid="histogram">
      <HistogramFigures histogram={histogram} />
      {buckets.length > 0 && (
        <>
          <Picture histogram={histogram} buckets={buckets} scale={scale} />
          <Fold summary={buckets.length === 1 ? "1 bucket" : `${buckets.length} buckets`}>
            <BucketTable buckets={buckets} />
          </Fold>
        </>
      )}
    </div>
  );
}

/** One of many: count and sum in a line that opens. */
export function FoldedHistogram({
  histogram,
  scale,
  time,
}: HistogramViewProps & { time?: number }) {
  const { buckets = [] } = histogram;
  const line = (
    <>
      <HistogramFigures histogram={histogram} />
      {time !== undefined && ` @${time}`}
    </>
  );
  if (buckets.length === 0) return <div className="histogram">{line}</div>;
  return (
    <div className="histogram">
      <Fold summary={line}>
        <Picture histogram={histogram} buckets={buckets} scale={scale} />
        <BucketTable buckets={buckets} />
      </Fold>
    </div>
  );
}

function HistogramFigures({ histogram: { count, sum } }: { histogram: Histogram }) {
  return (
    <span>
      <span className="histogram-label">count</span> {count}{" "}
      <span className="histogram-label">sum</span> {sum}
    </span>
  );
}

/** What is inside is made when it is opened. */
function Fold({ summary, children }: { summary: ReactNode; children: ReactNode }) {
  const [open, setOpen] = useState(false);
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{summary}</summary>
      {open && children}
    </details>
  );
}

function Picture({
  histogram,
  buckets,
  scale,
}: HistogramViewProps & { buckets: readonly Bucket[] }) {
  const { bars, ticks, minHeight, maxHeight } = useMemo(
    () => barsOf(buckets, scale),
    [buckets, scale],
  );
  const path = useMemo(() => bars.map(outline).join(""), [bars]);
  /** Where the pointer is, as part of the width. */
  const [pointer, setPointer] = useState<number | undefined>();
  const pointed = pointer === undefined ? undefined : nearest(bars, pointer);
  const point = (event: MouseEvent<SVGSVGElement>): void => {
    const { left, width } = event.currentTarget.getBoundingClientRect();
    setPointer((event.clientX - left) / width);
  };
  const first = buckets[0]!;
  const last = buckets.at(-1)!;
  return (
    <div className="histogram-picture">
      {/* On the linear scale the area counts, and heights have no unit that one could read. */}
      <div className="histogram-heights" aria-hidden>
        <span>{scale === "exponential" && formatCount(maxHeight)}</span>
        <span>{minHeight === 0 ? "0" : scale === "exponential" && formatCount(minHeight)}</span>
      </div>
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`Histogram with ${buckets.length} buckets from ${first[1]} to ${last[2]}, count ${histogram.count}, sum ${histogram.sum}`}
        onMouseMove={point}
        onMouseLeave={() => setPointer(undefined)}
      >
        <path className="histogram-bars" d={path} />
        {pointed !== undefined && <path className="histogram-pointed" d={outline(pointed)} />}
      </svg>
      <div className="histogram-bounds" aria-hidden>
        {ticks.map(({ at, text }) => (
          <span key={at} style={{ left: `${100 * at}%`, transform: `translateX(${-100 * at}%)` }}>
            {text}
          </span>
        ))}
      </div>
      {pointed !== undefined && (
        <div className="tooltip mono" style={beside(pointed)}>
          {formatBounds(pointed.bucket)}: <b>{pointed.bucket[3]}</b>
        </div>
      )}
    </div>
  );
}

/** Left or right of a bar, wherever there is more room. */
function beside({ left, right }: Bar): CSSProperties {
  const picture = `(100% - ${GUTTER}px)`;
  return left > 0.5
    ? { right: `calc(${1 - left} * ${picture})` }
    : { left: `calc(${GUTTER}px + ${right} * ${picture})` };
}

/** A bar as part of a path, with a little air to its neighbours. */
function outline({ left, right, bottom, top }: Bar): string {
  if (top === bottom) return "";
  const air = 0.05 * (right - left) * WIDTH;
  const width = Math.max((right - left) * WIDTH - 2 * air, BAR_WIDTH_MIN);
  const x = Math.min(left * WIDTH + air, WIDTH - width);
  const height = Math.max((top - bottom) * HEIGHT, BAR_HEIGHT_MIN);
  const y = Math.min((1 - top) * HEIGHT, HEIGHT - height);
  return `M${x.toFixed(2)} ${y.toFixed(2)}h${width.toFixed(2)}v${height.toFixed(2)}h${(-width).toFixed(2)}z`;
}

/** The bar at a place of the picture, or the one that is next to it by some pixels. */
function nearest(bars: readonly Bar[], at: number): Bar | undefined {
  let best: Bar | undefined;
  let distance = 0.01;
  for (const bar of bars) {
    const away = Math.max(bar.left - at, at - bar.right, 0);
    if (away >= distance) continue;
    best = bar;
    distance = away;
    if (away === 0) break;
  }
  return best;
}

function BucketTable({ buckets }: { buckets: readonly Bucket[] }) {
  return (
    <div className="histogram-buckets">
      <Table verticalSpacing={2} data-testid="buckets">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Bucket</Table.Th>
            <Table.Th ta="right">Count</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {buckets.map((bucket) => (
            <Table.Tr key={`${bucket[1]} ${bucket[2]}`}>
              <Table.Td className="mono">{formatBounds(bucket)}</Table.Td>
              <Table.Td className="mono" ta="right">
                {bucket[3]}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </div>
  );
}

export function ScaleSwitch({
  scale,
  setScale,
}: {
  scale: Scale;
  setScale: (scale: Scale) => void;
}) {
  return (
    <div style={{ display: "flex", alignItems: "center", gap: 8, flexWrap: "wrap" }}>
      <Text size="xs" c="dimmed">
        Scale of the buckets
      </Text>
      <SegmentedControl
        size="xs"
        aria-label="Scale of the buckets"
        value={scale}
        onChange={setScale}
        data={[
          { value: "exponential", label: "Exponential" },
          { value: "linear", label: "Linear" },
        ]}
      />
    </div>
  );
}
