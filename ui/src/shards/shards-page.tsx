import {
  Badge,
  Card,
  Group,
  SimpleGrid,
  Skeleton,
  Stack,
  Text,
  Timeline,
  Tooltip,
} from "@mantine/core";
import {
  IconArrowRight,
  IconArrowsExchange,
  IconMinus,
  IconPlus,
  IconQuestionMark,
  IconTargetArrow,
} from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { api, type Decision, type Shard } from "../api.ts";
import { formatAgo, formatBytes, formatCount } from "../format.ts";
import { Notes, Problem } from "../problem.tsx";
import { navigate, useUrlParameter } from "../url-state.ts";
import { LoadBar } from "./load-bar.tsx";

const REFRESH_MS = 2000;

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
  const shards = useQuery({
    queryKey: ["shards"],
    queryFn: ({ signal }) => api<{ shards: Shard[] }>("/api/v1/shards", {}, { signal }),
    refetchInterval: REFRESH_MS,
  });
  const decisions = useQuery({
    queryKey: ["decisions"],
    queryFn: ({ signal }) => api<{ decisions: Decision[] }>("/api/v1/decisions", {}, { signal }),
    refetchInterval: REFRESH_MS,
  });
  if (shards.error !== null && shards.data === undefined)
    return <Problem title="Cannot list the shards" message={shards.error.message} />;
  if (shards.data === undefined) return <Skeleton h={200} />;
  const list = shards.data.data.shards;
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
      {list.length === 0 && (
        <Card withBorder>
          <Text fw={600}>No shards</Text>
          <Text size="sm" c="dimmed">
            The coordinator starts the first one as soon as there is a target to scrape.
          </Text>
        </Card>
      )}
      <SimpleGrid cols={{ base: 1, sm: 2, lg: 3 }} spacing="sm" data-testid="shards">
        {list.map((shard) => (
          <ShardCard key={shard.id} shard={shard} isSelected={shard.id === selected} />
        ))}
      </SimpleGrid>
      <Decisions decisions={decisions.data?.data.decisions} error={decisions.error} />
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

function ShardCard({ shard, isSelected }: { shard: Shard; isSelected: boolean }) {
  return (
    <Card
      withBorder
      component="button"
      type="button"
      padding="sm"
      ta="left"
      aria-label={`Targets of ${shard.id}`}
      onClick={() => navigate(`/targets?shard=${encodeURIComponent(shard.id)}`)}
      style={{
        cursor: "pointer",
        ...(isSelected && { borderColor: "var(--mantine-primary-color-filled)", borderWidth: 2 }),
      }}
    >
      <Group justify="space-between" mb={6} wrap="nowrap">
        <Text fw={650}>{shard.id}</Text>
        <Badge color={STATE_COLOUR[shard.state] ?? "gray"} variant="light">
          {shard.state}
        </Badge>
      </Group>
      <Stack gap={8}>
        <LoadBar label="Head series" value={shard.headSeries} limit={shard.limits.maxHeadSeries} />
        <LoadBar
          label="Scraped series"
          value={shard.processSeries}
          limit={shard.limits.maxProcessSeries}
        />
      </Stack>
      <Group gap="md" mt={8}>
        <Text size="xs" c="dimmed">
          {shard.targets} {shard.targets === 1 ? "target" : "targets"}
        </Text>
        <Text size="xs" c="dimmed">
          {formatBytes(shard.rssBytes)}
        </Text>
        <Text size="xs" c="dimmed">
          seen {formatAgo(shard.lastSeen, Date.now())}
        </Text>
      </Group>
      {shard.error !== "" && (
        <Text size="xs" c="red" mt={4} className="mono">
          {shard.error}
        </Text>
      )}
    </Card>
  );
}

const KINDS: Record<string, { title: string; colour: string; icon: ReactNode }> = {
  assign: { title: "Assigned", colour: "teal", icon: <IconTargetArrow size={13} /> },
  move: { title: "Moving", colour: "blue", icon: <IconArrowsExchange size={13} /> },
  moved: { title: "Moved", colour: "blue", icon: <IconArrowRight size={13} /> },
  rollback: { title: "Rolled back", colour: "orange", icon: <IconArrowsExchange size={13} /> },
  rehome: { title: "Re-homed", colour: "orange", icon: <IconArrowRight size={13} /> },
  remove: { title: "Removed", colour: "gray", icon: <IconMinus size={13} /> },
  hold: { title: "Held", colour: "yellow", icon: <IconQuestionMark size={13} /> },
  "too-big": { title: "Too big", colour: "red", icon: <IconTargetArrow size={13} /> },
  unassigned: { title: "No place", colour: "red", icon: <IconQuestionMark size={13} /> },
  "scale-up": { title: "Scaling up", colour: "grape", icon: <IconPlus size={13} /> },
  "scale-down": { title: "Scaling down", colour: "grape", icon: <IconMinus size={13} /> },
};

function Decisions({
  decisions,
  error,
}: {
  decisions: Decision[] | undefined;
  error: Error | null;
}) {
  if (error !== null && decisions === undefined)
    return <Problem title="Cannot read the decisions" message={error.message} />;
  if (decisions === undefined) return <Skeleton h={120} />;
  const now = Date.now();
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
        <Timeline bulletSize={22} lineWidth={2} active={DECISIONS_SHOWN} data-testid="decisions">
          {decisions
            .slice(-DECISIONS_SHOWN)
            .reverse()
            .map((decision, index) => {
              const kind = KINDS[decision.kind] ?? {
                title: decision.kind,
                colour: "gray",
                icon: null,
              };
              return (
                <Timeline.Item
                  key={`${decision.time} ${index}`}
                  bullet={kind.icon}
                  color={kind.colour}
                >
                  <Group gap={8}>
                    <Text size="sm" fw={600}>
                      {kind.title}
                    </Text>
                    {decision.url !== undefined && <Text className="mono">{decision.url}</Text>}
                    {decision.from !== undefined && (
                      <Badge variant="default">{decision.from}</Badge>
                    )}
                    {decision.from !== undefined && decision.to !== undefined && (
                      <IconArrowRight size={14} aria-label="to" />
                    )}
                    {decision.to !== undefined && <Badge variant="light">{decision.to}</Badge>}
                    <Tooltip label={decision.time}>
                      <Text size="xs" c="dimmed">
                        {formatAgo(decision.time, now)}
                      </Text>
                    </Tooltip>
                  </Group>
                  <Text size="xs" c="dimmed">
                    {decision.reason}
                  </Text>
                </Timeline.Item>
              );
            })}
        </Timeline>
      )}
    </Card>
  );
}
