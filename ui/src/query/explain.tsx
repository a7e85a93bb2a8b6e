import { Progress, Table, Text } from "@mantine/core";
import type { QueryAnalysis } from "../api.ts";
import { formatCount, formatSecondsShort } from "../format.ts";
import { EVEN_DEPTH, indentOf, partsOf, secondsOf } from "./explain-parts.ts";

/** The parts of a query as a tree: what each took by itself, and how much came out of it. */
export function Explain({ query, analysis }: { query: string; analysis: QueryAnalysis }) {
  const parts = partsOf(analysis);
  const allSeconds = secondsOf(analysis);
  // Where levels are set in by less and less, their number tells them apart.
  const isNumbered = parts.some(({ depth }) => depth > EVEN_DEPTH);
  return (
    <Table
      verticalSpacing={6}
      layout="fixed"
      stickyHeader
      className="explain"
      data-testid="explain"
    >
      <Table.Thead>
        <Table.Tr>
          {isNumbered && (
            <Table.Th ta="right" className="explain-level">
              Level
            </Table.Th>
          )}
          <Table.Th>Part</Table.Th>
          <Table.Th ta="right" className="explain-figure">
            Series
          </Table.Th>
          <Table.Th ta="right" className="explain-figure">
            Samples
          </Table.Th>
          <Table.Th ta="right" className="explain-figure">
            Own time
          </Table.Th>
          <Table.Th w={150} visibleFrom="sm">
            Share
          </Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {parts.map(({ node, depth, ownSeconds }) => {
          const share = allSeconds > 0 ? (100 * ownSeconds) / allSeconds : 0;
          const text = query.slice(...node.position);
          return (
            <Table.Tr key={`${node.position.join("-")} ${depth} ${node.name}`}>
              {isNumbered && (
                <Table.Td ta="right" c="dimmed" className="mono">
                  {depth}
                </Table.Td>
              )}
              <Table.Td
                className="explain-part"
                style={{ "--explain-indent": `${indentOf(depth)}px` }}
              >
                <Text size="sm" fw={600} component="span">
                  {node.name}
                </Text>
                {text !== node.name && (
                  <Text size="xs" c="dimmed" className="mono" truncate title={text}>
                    {text}
                  </Text>
                )}
              </Table.Td>
              <Table.Td ta="right" className="mono explain-figure">
                {formatCount(node.series)}
              </Table.Td>
              <Table.Td ta="right" className="mono explain-figure">
                {formatCount(node.totalSamples)}
              </Table.Td>
              <Table.Td ta="right" className="mono explain-figure">
                {formatSecondsShort(ownSeconds)}
              </Table.Td>
              <Table.Td visibleFrom="sm">
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
  );
}
