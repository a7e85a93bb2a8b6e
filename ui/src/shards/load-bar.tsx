import { Group, Progress, Text } from "@mantine/core";
import { formatCount } from "../format.ts";

/** Load against its limit. Without a limit (0) only the number is told. */
export function LoadBar({ label, value, limit }: { label: string; value: number; limit: number }) {
  const percent = limit > 0 ? (100 * value) / limit : 0;
  const colour = percent > 100 ? "red" : percent > 85 ? "yellow" : "teal";
  return (
    <div>
      <Group justify="space-between" gap={4} wrap="nowrap">
        <Text size="xs" c="dimmed">
          {label}
        </Text>
        <Text size="xs">
          {formatCount(value)}
          {limit > 0 && ` of ${formatCount(limit)} · ${Math.round(percent)} %`}
        </Text>
      </Group>
      {limit > 0 && (
        <Progress
          value={Math.min(100, percent)}
          color={colour}
          size={8}
          aria-label={`${label}: ${Math.round(percent)} percent of the limit`}
        />
      )}
    </div>
  );
}
