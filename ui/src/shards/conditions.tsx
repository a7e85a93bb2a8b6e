import { Badge, Card, Group, Stack, Text, UnstyledButton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { api, type Condition, type Conditions, type Move } from "../api.ts";
import { kindOf } from "./decision-timeline.tsx";

const REFRESH_MS = 5000;

const SHOWN = 20;

/** Kinds that want somebody's attention, the most urgent first, and how they are called as a list. */
const LISTS: readonly { kind: string; title: string }[] = [
  { kind: "stop", title: "Scraping is stopped" },
  { kind: "storage", title: "Shards that cannot store" },
  { kind: "unassigned", title: "Targets without a shard" },
  { kind: "too-big", title: "Targets larger than a shard" },
  { kind: "hold", title: "Jobs whose discovery is not believed" },
  { kind: "drain", title: "Shards being emptied" },
  { kind: "wait", title: "Changes that wait" },
  { kind: "unread-resource", title: "Custom resources that cannot be read" },
  { kind: "rejected-resource", title: "Custom resources that are rejected" },
  { kind: "together", title: "Replicas that one failure takes together" },
];

/** What stands though somebody may want it otherwise. Nothing is drawn when there is nothing. */
export function StandingConditions({ onWhy }: { onWhy: (hash: string) => void }) {
  const query = useQuery({
    queryKey: ["conditions"],
    queryFn: ({ signal }) =>
      api<Conditions>("/api/v1/conditions", { limit: String(SHOWN) }, { signal }),
    refetchInterval: REFRESH_MS,
  });
  const data = query.data?.data;
  if (data === undefined) return null;
  return (
    <>
      {LISTS.flatMap(({ kind, title }) => {
        const count = data.counts[kind] ?? 0;
        if (count === 0) return [];
        const entries = data.conditions.filter((each) => each.kind === kind);
        return [
          <Card withBorder key={kind} data-testid={`list-${kind}`}>
            <Group gap={8} mb="xs">
              <Text fw={650}>{title}</Text>
              <Badge color={kindOf(kind).colour} variant="light">
                {count}
              </Badge>
            </Group>
            <Stack gap={6}>
              {entries.map((entry) => (
                <ConditionRow
                  key={`${entry.hash ?? entry.job ?? entry.from ?? entry.resource} ${entry.reason}`}
                  condition={entry}
                  onWhy={onWhy}
                />
              ))}
              {count > entries.length && (
                <Text size="xs" c="dimmed">
                  and {count - entries.length} more
                </Text>
              )}
            </Stack>
          </Card>,
        ];
      })}
    </>
  );
}

function ConditionRow({
  condition,
  onWhy,
}: {
  condition: Condition;
  onWhy: (hash: string) => void;
}) {
  const { hash, url, job, from, resource, reason } = condition;
  return (
    <div>
      {hash === undefined ? (
        <Text size="sm" fw={600}>
          {job ?? from ?? resource ?? "All shards"}
        </Text>
      ) : (
        <UnstyledButton
          className="mono text-link"
          aria-label={`Why: ${url}`}
          onClick={() => onWhy(hash)}
        >
          {url}
        </UnstyledButton>
      )}
      <Text size="xs" c="dimmed">
        {reason}
      </Text>
    </div>
  );
}

/** Targets that two shards scrape until the new one is proven. */
export function MovesUnderWay({
  moves,
  total,
  onWhy,
}: {
  moves: readonly Move[];
  total: number;
  onWhy: (hash: string) => void;
}) {
  if (total === 0) return null;
  return (
    <Card withBorder data-testid="moves">
      <Group gap={8} mb="xs">
        <Text fw={650}>On the way</Text>
        <Badge variant="light">{total}</Badge>
      </Group>
      <Stack gap={6}>
        {moves.slice(0, SHOWN).map((move) => (
          <div key={`${move.hash} ${move.from}`}>
            <Group gap={8}>
              <UnstyledButton
                className="mono text-link"
                aria-label={`Why: ${move.url}`}
                onClick={() => onWhy(move.hash)}
              >
                {move.url}
              </UnstyledButton>
              <Badge variant="default">{move.from}</Badge>→<Badge variant="light">{move.to}</Badge>
            </Group>
            <Text size="xs" c="dimmed">
              {move.waitsFor}
            </Text>
          </div>
        ))}
        {total > SHOWN && (
          <Text size="xs" c="dimmed">
            and {total - SHOWN} more
          </Text>
        )}
      </Stack>
    </Card>
  );
}
