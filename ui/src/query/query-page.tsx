import {
  ActionIcon,
  Alert,
  Button,
  Card,
  Code,
  Group,
  Loader,
  SegmentedControl,
  Select,
  Skeleton,
  Stack,
  Text,
  TextInput,
  Tooltip,
} from "@mantine/core";
import {
  IconArrowLeft,
  IconArrowRight,
  IconInfoCircle,
  IconPlayerPlay,
  IconTextWrap,
} from "@tabler/icons-react";
import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { lazy, Suspense, useEffect, useMemo, useState } from "react";
import { api, type MatrixSeries, type QueryData } from "../api.ts";
import { formatCount, formatDuration, formatSecondsShort, parseDuration } from "../format.ts";
import { ErrorBoundary } from "../error-boundary.tsx";
import { Notes, Problem } from "../problem.tsx";
import { useUrlParameter } from "../url-state.ts";
import { Explain } from "./explain.tsx";
import { DRAWN_SERIES_MAX, Graph, type GraphProps } from "./graph.tsx";
import { linesOf } from "./result.ts";
import { ResultTable } from "./result-table.tsx";

// The editor is the largest part of the page: everything else shows while it loads.
const ExpressionEditor = lazy(async () => ({
  default: (await import("./expression-editor.tsx")).ExpressionEditor,
}));

const RANGES = ["5m", "15m", "30m", "1h", "3h", "6h", "12h", "1d", "2d", "1w", "2w"];

/** Steps drawn when the resolution is automatic. */
const AUTO_STEPS = 250;

/** Names of the parameters are Prometheus's, so that its links (from alerts, from dashboards) open here too. */
export function QueryPage() {
  const [expression, setExpression] = useUrlParameter("g0.expr", "");
  const [tabParameter, setTab] = useUrlParameter("g0.tab", "table");
  const [range, setRange] = useUrlParameter("g0.range_input", "1h");
  const [endInput, setEnd] = useUrlParameter("g0.end_input", "");
  // Prometheus 2 had a time of its own for the table.
  const [momentInput, setMoment] = useUrlParameter("g0.moment_input", "");
  const [stepInput, setStep] = useUrlParameter("g0.step_input", "");
  const [draft, setDraft] = useState(expression);
  const [runs, setRuns] = useState(0);
  const [problem, setProblem] = useState("");
  // Prometheus 2 wrote 0 for the graph and 1 for the table.
  const tab =
    tabParameter === "graph" || tabParameter === "0"
      ? "graph"
      : tabParameter === "explain"
        ? "explain"
        : "table";

  const end = endInput === "" ? momentInput : endInput;
  const setTime = (text: string): void => {
    setMoment("");
    setEnd(text);
  };

  useEffect(() => setDraft(expression), [expression]);
  useEffect(() => setProblem(""), [draft]);

  const run = (): void => {
    setRuns(runs + 1);
    setExpression(draft, { push: true });
  };
  const format = async (): Promise<void> => {
    try {
      setDraft((await api<string>("/api/v1/format_query", { query: draft }, { post: true })).data);
    } catch (error) {
      setProblem(String(error instanceof Error ? error.message : error));
    }
  };

  return (
    <Stack gap="md">
      <Group align="stretch" gap="xs" wrap="wrap">
        <div style={{ flex: "1 1 420px", minWidth: 0 }}>
          <Suspense fallback={<Skeleton h={42} />}>
            <ExpressionEditor value={draft} onChange={setDraft} onRun={run} />
          </Suspense>
        </div>
        <Group gap="xs" wrap="nowrap" align="flex-start">
          <Tooltip label="Format the expression">
            <ActionIcon
              variant="default"
              size={42}
              aria-label="Format the expression"
              onClick={() => void format()}
            >
              <IconTextWrap size={19} />
            </ActionIcon>
          </Tooltip>
          <Button h={42} leftSection={<IconPlayerPlay size={17} />} onClick={run}>
            Run
          </Button>
        </Group>
      </Group>
      {problem !== "" && <Problem title="Cannot format the expression" message={problem} />}
      <Group gap="sm">
        <SegmentedControl
          value={tab}
          onChange={(value) => setTab(value)}
          data={[
            { value: "table", label: "Table" },
            { value: "graph", label: "Graph" },
            { value: "explain", label: "Explain" },
          ]}
        />
        <Group gap={6}>
          {tab !== "table" && <RangeSelect range={range} setRange={setRange} />}
          <TimeControls
            label={tab === "table" ? "Evaluation time" : "End time"}
            time={end}
            setTime={setTime}
            stepMs={(parseDuration(range) ?? 3600) * 500}
          />
          {tab !== "table" && <ResolutionInput step={stepInput} setStep={setStep} />}
        </Group>
      </Group>
      {expression.trim() === "" ? (
        <Welcome onPick={(text) => setExpression(text, { push: true })} />
      ) : (
        <ErrorBoundary
          title="This answer cannot be shown"
          advice="Please report it with this address; another expression can be asked for above."
          subject={JSON.stringify([tab, expression, runs, end, range, stepInput])}
        >
          {tab === "table" ? (
            <TablePanel expression={expression} runs={runs} timeText={end} />
          ) : (
            <GraphPanel
              isExplained={tab === "explain"}
              expression={expression}
              runs={runs}
              rangeSeconds={parseDuration(range) ?? 3600}
              endText={end}
              stepText={stepInput}
              onZoom={(start, end) => {
                setRange(formatDuration(Math.max(10, Math.round(end - start))));
                setTime(new Date(end * 1000).toISOString());
              }}
            />
          )}
        </ErrorBoundary>
      )}
    </Stack>
  );
}

interface RangeSelectProps {
  range: string;
  setRange: (value: string) => void;
}

function RangeSelect({ range, setRange }: RangeSelectProps) {
  return (
    <Select
      aria-label="Range"
      w={90}
      value={RANGES.includes(range) ? range : null}
      placeholder={range}
      data={RANGES}
      allowDeselect={false}
      onChange={(value) => value !== null && setRange(value)}
    />
  );
}

interface TimeControlsProps {
  label: string;
  /** Empty: now. */
  time: string;
  setTime: (value: string) => void;
  /** How far the arrows go. */
  stepMs: number;
}

function TimeControls({ label, time, setTime, stepMs }: TimeControlsProps) {
  const shift = (direction: number): void => {
    const from = secondsOf(time) ?? Date.now() / 1000;
    const to = from * 1000 + direction * stepMs;
    setTime(to >= Date.now() ? "" : new Date(to).toISOString());
  };
  return (
    <>
      <ActionIcon variant="default" size={36} aria-label="Earlier" onClick={() => shift(-1)}>
        <IconArrowLeft size={17} />
      </ActionIcon>
      <TextInput
        aria-label={`${label} (RFC 3339)`}
        w={210}
        placeholder={`${label}: now`}
        value={time}
        error={time !== "" && secondsOf(time) === undefined}
        onChange={(event) => setTime(event.currentTarget.value)}
      />
      <ActionIcon
        variant="default"
        size={36}
        aria-label="Later"
        disabled={time === ""}
        onClick={() => shift(1)}
      >
        <IconArrowRight size={17} />
      </ActionIcon>
    </>
  );
}

interface ResolutionInputProps {
  step: string;
  setStep: (value: string) => void;
}

function ResolutionInput({ step, setStep }: ResolutionInputProps) {
  return (
    <TextInput
      aria-label="Resolution"
      w={110}
      placeholder="Step: auto"
      value={step}
      error={step !== "" && parseDuration(step) === undefined}
      onChange={(event) => setStep(event.currentTarget.value)}
    />
  );
}

/** A time that was typed in, in Unix seconds; undefined when there is none or it is none. */
function secondsOf(text: string): number | undefined {
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms / 1000;
}

const EXAMPLES = [
  "up",
  "sum by (job) (up)",
  "sum by (instance) (scrape_samples_scraped)",
  'topk(10, count by (__name__) ({__name__=~".+"}))',
];

function Welcome({ onPick }: { onPick: (expression: string) => void }) {
  return (
    <Card withBorder>
      <Text fw={600} mb={4}>
        Ask all shards at once
      </Text>
      <Text size="sm" c="dimmed" mb="sm">
        Every answer is computed over the series of all shards. Try one of these:
      </Text>
      <Group gap="xs">
        {EXAMPLES.map((example) => (
          <Button
            key={example}
            variant="default"
            size="xs"
            className="mono"
            onClick={() => onPick(example)}
          >
            {example}
          </Button>
        ))}
      </Group>
    </Card>
  );
}

interface TablePanelProps {
  expression: string;
  runs: number;
  timeText: string;
}

function TablePanel({ expression, runs, timeText }: TablePanelProps) {
  const seconds = secondsOf(timeText);
  const time: Record<string, string> = seconds === undefined ? {} : { time: String(seconds) };
  const query = useQuery({
    queryKey: ["query", expression, runs, seconds],
    queryFn: async ({ signal }) =>
      timed(() =>
        api<QueryData>(
          "/api/v1/query",
          { query: expression, ...time, stats: "true" },
          { signal, post: true },
        ),
      ),
    placeholderData: keepPreviousData,
    retry: false,
  });
  if (query.error !== null)
    return <Problem title="Cannot answer the query" message={query.error.message} />;
  if (query.data === undefined) return <Loading />;
  const { answer, seconds: took } = query.data;
  return (
    <Card withBorder>
      <Stack gap="xs">
        <Notes {...answer} />
        <Summary seconds={took} data={answer.data} busy={query.isFetching} />
        <ResultTable data={answer.data} />
      </Stack>
    </Card>
  );
}

interface GraphPanelProps {
  /** Show what each part of the query took, in place of the graph. */
  isExplained: boolean;
  expression: string;
  runs: number;
  rangeSeconds: number;
  endText: string;
  stepText: string;
  onZoom: (start: number, end: number) => void;
}

function GraphPanel({
  isExplained,
  expression,
  runs,
  rangeSeconds,
  endText,
  stepText,
  onZoom,
}: GraphPanelProps) {
  const client = useQueryClient();
  const step = parseDuration(stepText) ?? Math.max(1, Math.round(rangeSeconds / AUTO_STEPS));
  const query = useQuery({
    queryKey: ["query_range", isExplained, expression, rangeSeconds, endText, step, runs],
    queryFn: async ({ signal }) => {
      // Ends on a whole step, so that the same range asked twice gives the same points.
      const at = secondsOf(endText) ?? Date.now() / 1000;
      const end = Math.floor(at / step) * step;
      const start = end - Math.floor(rangeSeconds / step) * step;
      const result = await timed(() =>
        api<QueryData>(
          "/api/v1/query_range",
          {
            query: expression,
            start: String(start),
            end: String(end),
            step: String(step),
            stats: "true",
            analyze: String(isExplained),
          },
          { signal, post: true },
        ),
      );
      return { ...result, start, end };
    },
    placeholderData: keepPreviousData,
    retry: false,
  });
  useEffect(() => () => void client.cancelQueries({ queryKey: ["query_range"] }), [client]);
  if (query.error !== null)
    return <Problem title="Cannot answer the query" message={query.error.message} />;
  if (query.data === undefined) return <Loading />;
  const { answer, seconds, start, end } = query.data;
  const series = answer.data.resultType === "matrix" ? answer.data.result : [];
  return (
    // A card that could scroll would keep the explanation's header from staying at the top of the window.
    <Card withBorder style={{ overflow: "clip" }}>
      <Stack gap="xs">
        <Notes {...answer} />
        <Summary seconds={seconds} data={answer.data} busy={query.isFetching} step={step} />
        {isExplained ? (
          answer.data.analysis !== undefined && (
            <Explain query={expression} analysis={answer.data.analysis} />
          )
        ) : (
          <GraphResult series={series} start={start} end={end} step={step} onZoom={onZoom} />
        )}
      </Stack>
    </Card>
  );
}

interface GraphResultProps extends Omit<GraphProps, "lines"> {
  series: MatrixSeries[];
}

/** The lines of a range query's answer, and what of it has none. */
function GraphResult({ series, ...graph }: GraphResultProps) {
  const { lines, histogramSeriesCount } = useMemo(() => linesOf(series), [series]);
  if (series.length === 0)
    return <Text c="dimmed">Empty result: no series matches in this range.</Text>;
  return (
    <>
      {lines.length > DRAWN_SERIES_MAX && (
        <Text size="sm" c="dimmed">
          Drawing the first {DRAWN_SERIES_MAX} of {lines.length} series; aggregate the expression to
          see the rest.
        </Text>
      )}
      {histogramSeriesCount > 0 && (
        <HistogramNotice count={histogramSeriesCount} seriesCount={series.length} />
      )}
      {lines.length > 0 && <Graph lines={lines} {...graph} />}
    </>
  );
}

const HISTOGRAM_FUNCTIONS = [
  "histogram_quantile(0.9, …)",
  "histogram_avg(…)",
  "histogram_count(…)",
  "histogram_sum(…)",
  "histogram_fraction(0, 0.1, …)",
];

function HistogramNotice({ count, seriesCount }: { count: number; seriesCount: number }) {
  return (
    <Alert
      color="blue"
      variant="light"
      icon={<IconInfoCircle />}
      title={`${count} of ${seriesCount} series ${count === 1 ? "holds" : "hold"} native histograms, which no line can show`}
      data-testid="histogram-notice"
    >
      <Text size="sm">The table shows their buckets. To draw them, ask for a number of each:</Text>
      <Group gap={6} my={6}>
        {HISTOGRAM_FUNCTIONS.map((text) => (
          <Code key={text}>{text}</Code>
        ))}
      </Group>
      <Text size="sm">
        Of a counter, ask for that of its rate: <Code>histogram_quantile(0.9, rate(…[5m]))</Code>
      </Text>
    </Alert>
  );
}

function Summary({
  seconds,
  data,
  busy,
  step,
}: {
  seconds: number;
  data: QueryData;
  busy: boolean;
  step?: number;
}) {
  const count =
    data.resultType === "vector" || data.resultType === "matrix" ? data.result.length : 1;
  const samples = data.stats?.samples.totalQueryableSamples;
  return (
    <Group gap="xs" c="dimmed">
      <Text size="xs" data-testid="summary">
        {count} {count === 1 ? "result" : "results"} · {formatSecondsShort(seconds)}
        {samples !== undefined && ` · ${formatCount(samples)} samples read`}
        {step !== undefined && ` · step ${formatDuration(step)}`}
      </Text>
      {busy && <Loader size={12} />}
    </Group>
  );
}

function Loading() {
  return (
    <Card withBorder>
      <Stack gap="xs">
        <Skeleton h={14} w={180} />
        <Skeleton h={220} />
      </Stack>
    </Card>
  );
}

async function timed<T>(action: () => Promise<T>): Promise<{ answer: T; seconds: number }> {
  const started = performance.now();
  const answer = await action();
  return { answer, seconds: (performance.now() - started) / 1000 };
}
