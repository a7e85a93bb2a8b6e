import { Table, Text } from "@mantine/core";
import { formatSeriesName, type QueryData } from "../api.ts";
import { useUrlParameter } from "../url-state.ts";
import type { Scale } from "./histogram-bars.ts";
import { FoldedHistogram, HistogramView, ScaleSwitch } from "./histogram-view.tsx";
import { type Row, rowsOf } from "./result.ts";

/** Rows beyond this are not drawn; the count says how many there are. */
const ROWS_MAX = 2000;

/** Histograms of an instant query beyond this are folded: their pictures would be pages long. */
const PICTURES_MAX = 100;

/** Histograms of a range beyond this cannot be unfolded: each that can takes memory and time. */
const FOLDED_MAX = 2000;

/** The result of an instant query, a row per series. */
export function ResultTable({ data }: { data: QueryData }) {
  const [scaleParameter, setScale] = useUrlParameter("g0.histogram_scale", "exponential");
  const scale: Scale = scaleParameter === "linear" ? "linear" : "exponential";
  if (data.resultType === "scalar" || data.resultType === "string") {
    return (
      <Text className="mono" size="lg" data-testid="scalar">
        {data.result[1]}
      </Text>
    );
  }
  if (data.result.length === 0)
    return <Text c="dimmed">Empty result: no series matches at this time.</Text>;
  const rows = rowsOf(data.result.slice(0, ROWS_MAX));
  const counts = rows.map(countHistograms);
  const isWithHistograms = counts.some((count) => count > 0);
  let histogramsBefore = 0;
  return (
    <>
      {data.result.length > ROWS_MAX && (
        <Text size="sm" c="dimmed" mb="xs">
          Showing the first {ROWS_MAX} of {data.result.length} series.
        </Text>
      )}
      {isWithHistograms && <ScaleSwitch scale={scale} setScale={setScale} />}
      <Table.ScrollContainer minWidth={isWithHistograms ? 240 : 320}>
        <Table
          className={isWithHistograms ? "with-histograms" : ""}
          striped
          highlightOnHover
          verticalSpacing={5}
          layout={isWithHistograms ? "fixed" : "auto"}
          data-testid="result-table"
        >
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Series ({data.result.length})</Table.Th>
              {isWithHistograms ? (
                <Table.Th w="60%">Value</Table.Th>
              ) : (
                <Table.Th ta="right">Value</Table.Th>
              )}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {rows.map(({ metric, points }, i) => {
              const name = formatSeriesName(metric);
              const before = histogramsBefore;
              histogramsBefore += counts[i]!;
              return (
                <Table.Tr key={name}>
                  <Table.Td className="mono">{name}</Table.Td>
                  <Table.Td
                    className="mono"
                    ta={isWithHistograms ? "left" : "right"}
                    style={{ whiteSpace: "pre-line" }}
                  >
                    {data.resultType === "vector" ? (
                      <Sample point={points[0]} isFolded={before >= PICTURES_MAX} scale={scale} />
                    ) : counts[i] === 0 ? (
                      points.map(([time, value]) => `${value as string} @${time}`).join("\n")
                    ) : (
                      <Points points={points} foldedMax={FOLDED_MAX - before} scale={scale} />
                    )}
                  </Table.Td>
                </Table.Tr>
              );
            })}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </>
  );
}

function countHistograms({ points }: Row): number {
  let count = 0;
  for (const [, value] of points) if (typeof value !== "string") count++;
  return count;
}

interface SampleProps {
  point: Row["points"][number] | undefined;
  isFolded: boolean;
  scale: Scale;
}

function Sample({ point, isFolded, scale }: SampleProps) {
  if (point === undefined) return null;
  const [, value] = point;
  if (typeof value === "string") return value;
  const View = isFolded ? FoldedHistogram : HistogramView;
  return <View histogram={value} scale={scale} />;
}

interface PointsProps {
  points: Row["points"];
  /** So many of the histograms can be opened. */
  foldedMax: number;
  scale: Scale;
}

/** The points of a series that holds histograms, a line each. */
function Points({ points, foldedMax, scale }: PointsProps) {
  return points.map(([time, value], i) =>
    typeof value === "string" ? (
      <div key={time}>
        {value} @{time}
      </div>
    ) : i < foldedMax ? (
      <FoldedHistogram key={time} histogram={value} scale={scale} time={time} />
    ) : (
      <div key={time}>
        count {value.count} sum {value.sum} @{time}
      </div>
    ),
  );
}
