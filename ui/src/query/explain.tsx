import { Progress, Table, Text } from "@mantine/core";
import type { QueryAnalysis } from "../api.ts";
import { formatCount, formatSecondsShort } from "../format.ts";

interface Part {
  readonly node: QueryAnalysis;
  readonly depth: number;
  /** Without its children. */
  readonly ownSeconds: number;
}

/** The parts of a query as a tree: what each took by itself, and how much came out of it. */
export function Explain({ query, analysis }: { query: string; analysis: QueryAnalysis }) {
  const parts = partsOf(analysis, 0);
  const allSeconds = secondsOf(analysis);
  return (
    <Table.ScrollContainer minWidth={560}>
      <Table verticalSpacing={6} data-testid="explain">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Part</Table.Th>
            <Table.Th ta="right">Series</Table.Th>
            <Table.Th ta="right">Samples</Table.Th>
            <Table.Th ta="right">Own time</Table.Th>
            <Table.Th w={150}>Share</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {parts.map(({ node, depth, ownSeconds }) => {
            const share = allSeconds > 0 ? (100 * ownSeconds) / allSeconds : 0;
            const text = query.slice(...node.position);
            return (
              <Table.Tr key={`${node.position.join("-")} ${depth} ${node.name}`}>
                <Table.Td style={{ paddingLeft: 10 + depth * 22 }}>
                  <Text size="sm" fw={600} component="span">
                    {node.name}
                  </Text>
                  {text !== node.name && (
                    <Text
                      size="xs"
                      c="dimmed"
                      className="mono"
                      truncate
                      maw="min(46vw, 620px)"
                      title={text}
                    >
                      {text}
                    </Text>
                  )}
                </Table.Td>
                <Table.Td ta="right" className="mono">
                  {formatCount(node.series)}
                </Table.Td>
                <Table.Td ta="right" className="mono">
                  {formatCount(node.totalSamples)}
                </Table.Td>
                <Table.Td ta="right" className="mono">
                  {formatSecondsShort(ownSeconds)}
                </Table.Td>
                <Table.Td>
                  <Progress.Root size="lg" aria-label={`${Math.round(share)} % of the time`}>
                    <Progress.Section value={share}>
                      {share >= 25 && <Progress.Label>{Math.round(share)} %</Progress.Label>}
                    </Progress.Section>
                  </Progress.Root>
                </Table.Td>
              </Table.Tr>
            );
          })}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function partsOf(node: QueryAnalysis, depth: number): Part[] {
  const children = node.children ?? [];
  const below = children.reduce((sum, child) => sum + secondsOf(child), 0);
  // Parts that run at the same time may take longer together than the whole.
  const ownSeconds = Math.max(0, secondsOf(node) - below);
  return [{ node, depth, ownSeconds }, ...children.flatMap((child) => partsOf(child, depth + 1))];
}

function secondsOf({ executionTime }: QueryAnalysis): number {
  return Number.parseFloat(executionTime) / 1000;
}
