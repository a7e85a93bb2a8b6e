import { Text } from "@mantine/core";
import type { Shard } from "../api.ts";
import { OrderButton } from "./order-button.tsx";

/** Empties a shard, or lets it have targets again. */
export function DrainButton({ shard }: { shard: Shard }) {
  const drain = !shard.draining;
  const label = drain ? "Drain" : "Use again";
  return (
    <OrderButton
      path="/api/v1/shards/drain"
      parameters={{ shard: shard.id, drain: String(drain) }}
      label={label}
      name={`${label} ${shard.id}`}
      hint={drain ? "Move all targets to other shards" : "Let it have targets again"}
      colour={drain ? "orange" : "teal"}
    >
      <Text size="sm">
        {drain
          ? `Its ${shard.targets} targets move to other shards, one scrape of each being seen there before it stops here. It gets no new ones until you say so.`
          : "It may have targets again."}
      </Text>
    </OrderButton>
  );
}
