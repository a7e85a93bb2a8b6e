import {
  Alert,
  Badge,
  Code,
  Drawer,
  Group,
  Progress,
  Skeleton,
  Stack,
  Table,
  Text,
  Title,
} from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { api, type Why } from "../api.ts";
import { formatAgo, formatCount } from "../format.ts";
import { Problem } from "../problem.tsx";
import { DecisionTimeline, kindOf } from "../shards/decision-timeline.tsx";
import { useUrlParameter } from "../url-state.ts";

const REFRESH_MS = 5000;

/** The story of one target, opened by `?why=` in the address: why it is where it is, and what else was possible. */
export function WhyDrawer() {
  const [asked, setAsked] = useUrlParameter("why", "");
  const query = useQuery({
    queryKey: ["why", asked],
    queryFn: ({ signal }) => api<{ why?: Why }>("/api/v1/why", { target: asked }, { signal }),
    refetchInterval: REFRESH_MS,
    enabled: asked !== "",
  });
  const why = query.data?.data.why;
  return (
    <Drawer
      opened={asked !== ""}
      onClose={() => setAsked("")}
      position="right"
      size="lg"
      title="Why is it here?"
      closeButtonProps={{ "aria-label": "Close" }}
      data-testid="why"
    >
      {query.error !== null && why === undefined ? (
        <Problem title="Cannot explain this target" message={query.error.message} />
      ) : why === undefined ? (
        <Skeleton h={200} />
      ) : (
        <Story why={why} />
      )}
    </Drawer>
  );
}

function Story({ why }: { why: Why }) {
  const now = Date.now();
  return (
    <Stack gap="md">
      <div>
        <Text className="mono" fw={600}>
          {why.url ?? why.discoveredLabels?.["__address__"] ?? why.hash}
        </Text>
        <Text size="sm" c="dimmed">
          job {why.job}
        </Text>
      </div>
      <Text size="sm">{why.summary}</Text>
      {why.replicas.map(({ replica, shard, since, move }) => (
        <Group key={replica} gap={8}>
          {replica !== "" && <Text size="sm">replica {replica}</Text>}
          <Badge variant="light">{shard === "" ? "no shard" : shard}</Badge>
          {shard !== "" && (
            <Text size="sm" c="dimmed">
              given {formatAgo(since, now)}
            </Text>
          )}
          {move !== undefined && (
            <Progress
              w={120}
              value={(100 * move.goodScrapes) / Math.max(1, move.neededScrapes)}
              aria-label={`${move.goodScrapes} of ${move.neededScrapes} good scrapes`}
            />
          )}
        </Group>
      ))}
      {why.conditions.map(({ kind, reason }) => (
        <Alert key={`${kind} ${reason}`} color="yellow" variant="light" title={kindOf(kind).title}>
          <Text size="sm">{reason}</Text>
        </Alert>
      ))}
      {why.lastError !== undefined && why.lastError !== "" && (
        <Text size="xs" c="red" className="mono">
          {why.lastError}
        </Text>
      )}
      {why.load !== undefined && (
        <Text size="sm">
          {why.load.series.toLocaleString("en")} series ({why.load.totalSeries.toLocaleString("en")}{" "}
          before relabelling), {formatCount(why.load.samplesPerSecond)} samples/s
        </Text>
      )}
      <Group gap={4}>
        {Object.entries(why.labels ?? why.discoveredLabels ?? {}).map(([name, value]) => (
          <Code key={name} style={{ overflowWrap: "anywhere" }}>
            {name}="{value}"
          </Code>
        ))}
      </Group>
      {why.decisions.length > 0 && (
        <div>
          <Title order={3} size="sm" mb="xs">
            What was decided
          </Title>
          <DecisionTimeline decisions={why.decisions} />
        </div>
      )}
      {why.candidates.length > 0 && <Candidates candidates={why.candidates} />}
    </Stack>
  );
}

function Candidates({ candidates }: Pick<Why, "candidates">) {
  return (
    <div>
      <Title order={3} size="sm" mb="xs">
        What else was possible
      </Title>
      <Table.ScrollContainer minWidth={480}>
        <Table verticalSpacing={4} data-testid="candidates">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Shard</Table.Th>
              <Table.Th ta="right">Series</Table.Th>
              <Table.Th ta="right">Full → with it</Table.Th>
              <Table.Th>Verdict</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {candidates.map((each) => (
              <Table.Tr key={each.shard}>
                <Table.Td>
                  <Badge variant={each.owner ? "filled" : "default"}>{each.shard}</Badge>
                </Table.Td>
                <Table.Td ta="right">
                  {formatCount(each.used.series)}
                  {each.limits.maxHeadSeries > 0 && ` of ${formatCount(each.limits.maxHeadSeries)}`}
                </Table.Td>
                <Table.Td ta="right" style={{ whiteSpace: "nowrap" }}>
                  {percent(each.utilisation)} → {percent(each.utilisationWith)}
                </Table.Td>
                <Table.Td c={each.fits ? undefined : "red"}>{each.verdict}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </div>
  );
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}
