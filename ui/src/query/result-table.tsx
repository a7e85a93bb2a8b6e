import { Table, Text } from "@mantine/core";
import { formatSeriesName, type QueryData } from "../api.ts";

/** Rows beyond this are not drawn; the count says how many there are. */
const ROWS_MAX = 2000;

/** The result of an instant query, a row per series. */
export function ResultTable({ data }: { data: QueryData }) {
  if (data.resultType === "scalar" || data.resultType === "string") {
    return (
      <Text className="mono" size="lg" data-testid="scalar">
        {data.result[1]}
      </Text>
    );
  }
  if (data.result.length === 0)
    return <Text c="dimmed">Empty result: no series matches at this time.</Text>;
  const rows =
    data.resultType === "vector"
      ? data.result.map(({ metric, value }) => ({ metric, cells: [value] }))
      : data.result.map(({ metric, values }) => ({ metric, cells: values }));
  return (
    <>
      {rows.length > ROWS_MAX && (
        <Text size="sm" c="dimmed" mb="xs">
          Showing the first {ROWS_MAX} of {rows.length} series.
        </Text>
      )}
      <Table.ScrollContainer minWidth={320}>
        <Table striped highlightOnHover verticalSpacing={5} data-testid="result-table">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Series ({rows.length})</Table.Th>
              <Table.Th ta="right">Value</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {rows.slice(0, ROWS_MAX).map(({ metric, cells }) => {
              const name = formatSeriesName(metric);
              return (
                <Table.Tr key={name}>
                  <Table.Td className="mono">{name}</Table.Td>
                  <Table.Td className="mono" ta="right" style={{ whiteSpace: "pre-line" }}>
                    {data.resultType === "vector"
                      ? cells[0]![1]
                      : cells.map(([time, value]) => `${value} @${time}`).join("\n")}
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
