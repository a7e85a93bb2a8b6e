import {
  Badge,
  Card,
  Group,
  Pagination,
  SimpleGrid,
  Skeleton,
  Stack,
  Text,
  UnstyledButton,
} from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { api, type Decision, type Shard, type ShardHistory, type Shards } from "../api.ts";
import { formatAgo, formatBytes, formatCount } from "../format.ts";
import { Notes, Problem } from "../problem.tsx";
import { WhyDrawer } from "../targets/why-drawer.tsx";
import { navigate, useUrlParameter } from "../url-state.ts";
import { MovesUnderWay, StandingConditions } from "./conditions.tsx";
import { DecisionTimeline } from "./decision-timeline.tsx";
import { DrainButton } from "./drain-button.tsx";
import { LoadBar } from "./load-bar.tsx";
import { LoadHistory } from "./load-history.tsx";
import { StopSwitch } from "./stop-switch.tsx";
import { TravellingChips } from "./travelling-chips.tsx";

const REFRESH_MS = 2000;

/** History changes slowly and is larger. */
const HISTORY_REFRESH_MS = 10_000;

/** Shard cards on one page. */
const CARDS_PER_PAGE = 24;

/** Decisions shown, newest first; the server keeps a bounded log of more. */
const DECISIONS_SHOWN = 60;

const STATE_COLOUR: Record<string, string> = {
  ready: "green",
  starting: "blue",
  draining: "yellow",
  refused: "orange",
  lost: "red",
};

export function ShardsPage() {
  const [selected] = useUrlParameter("shard", "");
  const [pageText, setPage] = useUrlParameter("page", "1");
  const [, setWhy] = useUrlParameter("why", "");
  const openWhy = (hash: string): void => setWhy(hash, { push: true });
  const shards = useQuery({
    queryKey: ["shards"],
    queryFn: ({ signal }) => api<Shards>("/api/v1/shards", {}, { signal }),
    refetchInterval: REFRESH_MS,
  });
  const history = useQuery({
    queryKey: ["shards", "history"],
    queryFn: ({ signal }) =>
      api<Shards>("/api/v1/shards", { history: "1h", points: "120" }, { signal }),
    refetchInterval: HISTORY_REFRESH_MS,
  });
  const decisions = useQuery({
    queryKey: ["decisions"],
    queryFn: ({ signal }) => api<{ decisions: Decision[] }>("/api/v1/decisions", {}, { signal }),
    refetchInterval: REFRESH_MS,
  });
  if (shards.error !== null && shards.data === undefined)
    return <Problem title="Cannot list the shards" message={shards.error.message} />;
  if (shards.data === undefined) return <Skeleton h={200} />;
  const { shards: list, moves, movesTotal } = shards.data.data;
  const histories = new Map(history.data?.data.shards.map((shard) => [shard.id, shard.history]));
  const pages = Math.max(1, Math.ceil(list.length / CARDS_PER_PAGE));
  const page = Math.min(pages, Math.max(1, Number(pageText) || 1));
  const sum = (read: (shard: Shard) => number): number =>
    list.reduce((total, shard) => total + read(shard), 0);
  return (
    <Stack gap="md">
      {shards.error !== null && (
        <Problem title="These figures are old" message={shards.error.message} />
      )}
      <Notes warnings={shards.data.warnings} infos={[]} />
      <SimpleGrid cols={{ base: 2, sm: 4 }} spacing="sm">
        <Figure
          label="Shards"
          value={`${list.filter((shard) => shard.state === "ready").length} of ${list.length} ready`}
        />
        <Figure label="Targets" value={formatCount(sum((shard) => shard.targets))} />
        <Figure label="Series in heads" value={formatCount(sum((shard) => shard.headSeries))} />
        <Figure label="Memory" value={formatBytes(sum((shard) => shard.rssBytes))} />
      </SimpleGrid>
      {list.length > 0 && <StopSwitch />}
      {list.length === 0 && (
        <Card withBorder>
          <Text fw={600}>No shards</Text>
          <Text size="sm" c="dimmed">
            The coordinator starts the first one as soon as there is a target to scrape.
          </Text>
        </Card>
      )}
      <SimpleGrid cols={{ base: 1, sm: 2, lg: 3 }} spacing="sm" data-testid="shards">
        {list.slice((page - 1) * CARDS_PER_PAGE, page * CARDS_PER_PAGE).map((shard) => (
          <ShardCard
            key={shard.id}
            shard={shard}
            history={histories.get(shard.id)}
            isSelected={shard.id === selected}
          />
        ))}
      </SimpleGrid>
      {pages > 1 && (
        <Pagination
          total={pages}
          value={page}
          onChange={(next) => setPage(String(next))}
          aria-label="Pages of shards"
        />
      )}
      <MovesUnderWay moves={moves} total={movesTotal} onWhy={openWhy} />
      <StandingConditions onWhy={openWhy} />
      <Decisions
        decisions={decisions.data?.data.decisions}
        error={decisions.error}
        onWhy={openWhy}
      />
      <TravellingChips decisions={decisions.data?.data.decisions} />
      <WhyDrawer />
    </Stack>
  );
}

function Figure({ label, value }: { label: string; value: string }) {
  return (
    <Card withBorder padding="sm">
      <Text size="xs" c="dimmed">
        {label}
      </Text>
      <Text size="lg" fw={650}>
        {value}
      </Text>
    </Card>
  );
}

function ShardCard({
  shard,
  history,
  isSelected,
}: {
  shard: Shard;
  history: ShardHistory | undefined;
  isSelected: boolean;
}) {
  return (
    <Card
      withBorder
      padding="sm"
      data-shard={shard.id}
      style={
        isSelected
          ? { borderColor: "var(--mantine-primary-color-filled)", borderWidth: 2 }
          : undefined
      }
    >
      <Group justify="space-between" mb={6} wrap="nowrap">
        <Text fw={650}>{shard.id}</Text>
        <Group gap={6} wrap="nowrap">
          {shard.draining && (
            <Badge color="yellow" variant="light">
              draining
            </Badge>
          )}
          <Badge color={STATE_COLOUR[shard.state] ?? "gray"} variant="light">
            {shard.state}
          </Badge>
        </Group>
      </Group>
      <Stack gap={8}>
        <LoadBar label="Head series" value={shard.headSeries} limit={shard.limits.maxHeadSeries} />
        <LoadBar
          label="Scraped series"
          value={shard.processSeries}
          limit={shard.limits.maxProcessSeries}
        />
        {history !== undefined && history.timesMs.length > 1 && (
          <LoadHistory shard={shard.id} history={history} />
        )}
      </Stack>
      <Group gap="md" mt={8} justify="space-between">
        <UnstyledButton
          className="text-link"
          fz="xs"
          aria-label={`Targets of ${shard.id}`}
          onClick={() => navigate(`/targets?shard=${encodeURIComponent(shard.id)}`)}
        >
          {shard.targets} {shard.targets === 1 ? "target" : "targets"}
        </UnstyledButton>
        <Text size="xs" c="dimmed">
          {formatBytes(shard.rssBytes)}
        </Text>
        <Text size="xs" c="dimmed">
          seen {formatAgo(shard.lastSeen, Date.now())}
        </Text>
        <DrainButton shard={shard} />
      </Group>
      {shard.error !== "" && (
        <Text size="xs" c="red" mt={4} className="mono">
          {shard.error}
        </Text>
      )}
    </Card>
  );
}

function Decisions({
  decisions,
  error,
  onWhy,
}: {
  decisions: Decision[] | undefined;
  error: Error | null;
  onWhy: (hash: string) => void;
}) {
  if (error !== null && decisions === undefined)
    return <Problem title="Cannot read the decisions" message={error.message} />;
  if (decisions === undefined) return <Skeleton h={120} />;
  return (
    <Card withBorder>
      <Text fw={650} mb="sm">
        What the coordinator decided, and why
      </Text>
      {decisions.length === 0 ? (
        <Text size="sm" c="dimmed">
          Nothing yet: the first targets are being measured.
        </Text>
      ) : (
        <div data-testid="decisions">
          <DecisionTimeline decisions={decisions.slice(-DECISIONS_SHOWN).reverse()} onWhy={onWhy} />
        </div>
      )}
    </Card>
  );
}
