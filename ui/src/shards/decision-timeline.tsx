import { Badge, Group, Text, Timeline, Tooltip, UnstyledButton } from "@mantine/core";
import {
  IconArrowRight,
  IconArrowsExchange,
  IconDroplet,
  IconMinus,
  IconPlus,
  IconQuestionMark,
  IconTargetArrow,
} from "@tabler/icons-react";
import type { ReactNode } from "react";
import type { Decision } from "../api.ts";
import { formatAgo } from "../format.ts";

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
  wait: { title: "Waits", colour: "yellow", icon: <IconQuestionMark size={13} /> },
  together: { title: "Together", colour: "yellow", icon: <IconQuestionMark size={13} /> },
  drain: { title: "Drained", colour: "yellow", icon: <IconDroplet size={13} /> },
  undrain: { title: "In use again", colour: "teal", icon: <IconDroplet size={13} /> },
  stop: { title: "Scraping stopped", colour: "red", icon: <IconMinus size={13} /> },
  resume: { title: "Scraping again", colour: "teal", icon: <IconPlus size={13} /> },
  "scale-up": { title: "Scaling up", colour: "grape", icon: <IconPlus size={13} /> },
  "scale-down": { title: "Scaling down", colour: "grape", icon: <IconMinus size={13} /> },
};

export function kindOf(kind: string): { title: string; colour: string; icon: ReactNode } {
  return KINDS[kind] ?? { title: kind, colour: "gray", icon: null };
}

/** Decisions as they are given, each with its reason. `onWhy` makes targets open their story. */
export function DecisionTimeline({
  decisions,
  onWhy,
}: {
  decisions: readonly Decision[];
  onWhy?: (hash: string) => void;
}) {
  const now = Date.now();
  return (
    <Timeline bulletSize={22} lineWidth={2} active={decisions.length}>
      {decisions.map((decision) => {
        const { id, kind, hash, url, from, to, reason, time } = decision;
        const { title, colour, icon } = kindOf(kind);
        return (
          <Timeline.Item key={id} bullet={icon} color={colour}>
            <Group gap={8}>
              <Text size="sm" fw={600}>
                {title}
              </Text>
              {url !== undefined &&
                (hash !== undefined && onWhy !== undefined ? (
                  <UnstyledButton
                    className="mono text-link"
                    aria-label={`Why: ${url}`}
                    onClick={() => onWhy(hash)}
                  >
                    {url}
                  </UnstyledButton>
                ) : (
                  <Text className="mono">{url}</Text>
                ))}
              {from !== undefined && <Badge variant="default">{from}</Badge>}
              {from !== undefined && to !== undefined && (
                <IconArrowRight size={14} aria-label="to" />
              )}
              {to !== undefined && <Badge variant="light">{to}</Badge>}
              <Tooltip label={time}>
                <Text size="xs" c="dimmed">
                  {formatAgo(time, now)}
                </Text>
              </Tooltip>
            </Group>
            <Text size="xs" c="dimmed">
              {reason}
            </Text>
          </Timeline.Item>
        );
      })}
    </Timeline>
  );
}
