import {
  Accordion,
  Badge,
  Button,
  Card,
  Code,
  Group,
  Pagination,
  Progress,
  SegmentedControl,
  Skeleton,
  Stack,
  Table,
  Text,
  TextInput,
  Tooltip,
} from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { IconSearch } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { api, formatSeriesName, type Target, type Targets } from "../api.ts";
import { formatAgo, formatCount, formatSecondsShort } from "../format.ts";
import { Problem } from "../problem.tsx";
import { navigate, useUrlParameter } from "../url-state.ts";
import { WhyDrawer } from "./why-drawer.tsx";

const REFRESH_MS = 5000;

/** Rows of a pool on one page. */
const ROWS_PER_PAGE = 50;

/** Pools that are open at first: as many as these rows fill. */
const ROWS_OPEN = 300;

const HEALTH_COLOUR = { up: "green", down: "red", unknown: "gray" } as const;

export function TargetsPage() {
  const [search, setSearch] = useUrlParameter("search", "");
  const [health, setHealth] = useUrlParameter("health", "all");
  const [shard, setShard] = useUrlParameter("shard", "");
  const [needle] = useDebouncedValue(search.toLowerCase(), 150);
  const query = useQuery({
    queryKey: ["targets"],
    queryFn: ({ signal }) => api<Targets>("/api/v1/targets", { state: "active" }, { signal }),
    refetchInterval: REFRESH_MS,
  });
  const targets = query.data?.data.activeTargets;

  const pools = useMemo(() => {
    const byPool = new Map<string, { all: Target[]; shown: Target[] }>();
    for (const target of targets ?? []) {
      let pool = byPool.get(target.scrapePool);
      if (pool === undefined) byPool.set(target.scrapePool, (pool = { all: [], shown: [] }));
      pool.all.push(target);
      if (matches(target, { needle, health, shard })) pool.shown.push(target);
    }
    return [...byPool].sort(([a], [b]) => (a < b ? -1 : 1));
  }, [targets, needle, health, shard]);

  if (query.error !== null && targets === undefined)
    return <Problem title="Cannot list the targets" message={query.error.message} />;
  if (targets === undefined) return <Skeleton h={200} />;
  const count = (state: Target["health"]): number =>
    targets.filter((target) => target.health === state).length;
  return (
    <Stack gap="md">
      <Group gap="sm">
        <TextInput
          aria-label="Search targets"
          placeholder="Search address, labels, errors"
          leftSection={<IconSearch size={16} />}
          value={search}
          onChange={(event) => setSearch(event.currentTarget.value)}
          style={{ flex: "1 1 220px" }}
        />
        <SegmentedControl
          value={health}
          onChange={(value) => setHealth(value)}
          data={[
            { value: "all", label: `All ${targets.length}` },
            { value: "up", label: `Up ${count("up")}` },
            { value: "down", label: `Down ${count("down")}` },
            { value: "unknown", label: `Unknown ${count("unknown")}` },
          ]}
        />
        {shard !== "" && (
          <Badge
            component="button"
            variant="light"
            style={{ cursor: "pointer" }}
            onClick={() => setShard("")}
          >
            shard {shard} ✕
          </Badge>
        )}
      </Group>
      {targets.length === 0 && (
        <Card withBorder>
          <Text fw={600}>No targets</Text>
          <Text size="sm" c="dimmed">
            The configuration has no scrape_configs, or discovery has found nothing yet. New targets
            show here within a few seconds.
          </Text>
        </Card>
      )}
      <Accordion
        multiple
        variant="separated"
        defaultValue={openAtFirst(pools)}
        key={pools.map(([name]) => name).join("\n")}
      >
        {pools.map(([name, pool]) => (
          <Accordion.Item key={name} value={name}>
            <Accordion.Control>
              <PoolTitle name={name} targets={pool.all} shown={pool.shown.length} />
            </Accordion.Control>
            <Accordion.Panel>
              <PoolTable name={name} targets={pool.shown} />
            </Accordion.Panel>
          </Accordion.Item>
        ))}
      </Accordion>
      <WhyDrawer />
    </Stack>
  );
}

function openAtFirst(pools: readonly [string, { shown: readonly Target[] }][]): string[] {
  let rows = 0;
  return pools
    .filter(([, { shown }]) => {
      const isOpen = rows < ROWS_OPEN;
      rows += Math.min(shown.length, ROWS_PER_PAGE);
      return isOpen;
    })
    .map(([name]) => name);
}

function matches(
  target: Target,
  { needle, health, shard }: { needle: string; health: string; shard: string },
): boolean {
  if (health !== "all" && target.health !== health) return false;
  if (shard !== "" && target.shard !== shard) return false;
  return (
    needle === "" ||
    `${target.scrapeUrl} ${formatSeriesName(target.labels)} ${target.lastError}`
      .toLowerCase()
      .includes(needle)
  );
}

function PoolTitle({ name, targets, shown }: { name: string; targets: Target[]; shown: number }) {
  const up = targets.filter((target) => target.health === "up").length;
  const series = targets.reduce((sum, target) => sum + (target.series ?? 0), 0);
  return (
    <Group gap="sm" wrap="wrap" pr="sm">
      <Text fw={600}>{name}</Text>
      <Group gap={6} wrap="nowrap">
        <Progress.Root w={70} size={8} aria-label={`${up} of ${targets.length} targets up`}>
          <Progress.Section value={(100 * up) / Math.max(1, targets.length)} color="green" />
          <Progress.Section
            value={
              (100 * targets.filter((target) => target.health === "down").length) /
              Math.max(1, targets.length)
            }
            color="red"
          />
        </Progress.Root>
        <Text size="sm">
          {up} / {targets.length} up
        </Text>
      </Group>
      <Text size="sm" c="dimmed">
        {formatCount(series)} series{shown < targets.length && ` · ${shown} shown`}
      </Text>
    </Group>
  );
}

function PoolTable({ name, targets }: { name: string; targets: Target[] }) {
  const now = Date.now();
  const [pageText, setPage] = useUrlParameter(`page.${name}`, "1");
  const pages = Math.max(1, Math.ceil(targets.length / ROWS_PER_PAGE));
  const page = Math.min(pages, Math.max(1, Number(pageText) || 1));
  if (targets.length === 0) return <Text c="dimmed">No target of this pool matches.</Text>;
  return (
    <>
      <Table.ScrollContainer minWidth={760}>
        <Table verticalSpacing={6} data-testid="targets-table">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Endpoint</Table.Th>
              <Table.Th>Labels</Table.Th>
              <Table.Th>Shard</Table.Th>
              <Table.Th aria-label="Explanation" />
              <Table.Th ta="right">Series</Table.Th>
              <Table.Th>Last scrape</Table.Th>
              <Table.Th>Health</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {targets.slice((page - 1) * ROWS_PER_PAGE, page * ROWS_PER_PAGE).map((target) => (
              <TargetRow
                key={`${target.scrapePool} ${target.scrapeUrl} ${formatSeriesName(target.labels)}`}
                target={target}
                now={now}
              />
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      {pages > 1 && (
        <Group mt="sm" gap="md">
          <Pagination
            total={pages}
            value={page}
            size="sm"
            onChange={(next) => setPage(String(next))}
            aria-label={`Pages of ${name}`}
          />
          <Text size="sm" c="dimmed">
            {targets.length.toLocaleString("en")} targets
          </Text>
        </Group>
      )}
    </>
  );
}

function TargetRow({ target, now }: { target: Target; now: number }) {
  const [, setWhy] = useUrlParameter("why", "");
  return (
    <Table.Tr>
      <Table.Td className="mono">
        <a href={target.scrapeUrl} target="_blank" rel="noreferrer" style={{ color: "inherit" }}>
          {target.scrapeUrl}
        </a>
        {target.lastError !== "" && (
          <Text size="xs" c="red" mt={2} className="mono">
            {target.lastError}
          </Text>
        )}
      </Table.Td>
      <Table.Td>
        <Tooltip
          multiline
          maw={560}
          label={
            <>
              Before relabelling:
              {Object.entries(target.discoveredLabels).map(([name, value]) => (
                <div key={name} className="mono">
                  {name}="{value}"
                </div>
              ))}
            </>
          }
        >
          <Group gap={4}>
            {Object.entries(target.labels).map(([name, value]) => (
              <Code key={name} style={{ overflowWrap: "anywhere" }}>
                {name}="{value}"
              </Code>
            ))}
          </Group>
        </Tooltip>
      </Table.Td>
      <Table.Td>
        {target.shard === undefined || target.shard === "" ? (
          <Text size="sm" c="dimmed">
            none yet
          </Text>
        ) : (
          <Badge
            component="button"
            variant="light"
            style={{ cursor: "pointer" }}
            onClick={() => navigate(`/shards?shard=${encodeURIComponent(target.shard ?? "")}`)}
          >
            {target.shard}
          </Badge>
        )}
      </Table.Td>
      <Table.Td>
        <Button
          size="compact-xs"
          variant="subtle"
          aria-label={`Why: ${target.scrapeUrl}`}
          onClick={() => setWhy(target.hash ?? target.scrapeUrl, { push: true })}
        >
          why?
        </Button>
      </Table.Td>
      <Table.Td ta="right">
        {target.series === undefined ? "–" : target.series.toLocaleString("en")}
      </Table.Td>
      <Table.Td>
        <Text size="sm">{formatAgo(target.lastScrape, now)}</Text>
        <Text size="xs" c="dimmed">
          took {formatSecondsShort(target.lastScrapeDuration)}, every {target.scrapeInterval}
        </Text>
      </Table.Td>
      <Table.Td>
        <Badge color={HEALTH_COLOUR[target.health]} variant="filled">
          {target.health}
        </Badge>
      </Table.Td>
    </Table.Tr>
  );
}
