import { Alert, Group, Text, TextInput } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../api.ts";
import { OrderButton } from "./order-button.tsx";

const PATH = "/api/v1/status/extra_config";

/** The emergency switch of all shards, and that it was used. */
export function StopSwitch() {
  const state = useQuery({
    queryKey: ["stop"],
    queryFn: ({ signal }) => api<{ json: string }>(PATH, {}, { signal }),
    refetchInterval: 5000,
  });
  if (state.data === undefined) return null;
  // As Kvass answers: JSON inside of JSON.
  const stands = (JSON.parse(state.data.data.json) as { stopScrapeReason: string })
    .stopScrapeReason;
  if (stands === "")
    return (
      <Group justify="flex-end">
        <StopButton />
      </Group>
    );
  return (
    <Alert
      color="red"
      variant="light"
      title="Scraping is stopped"
      icon={<IconAlertTriangle />}
      role="alert"
    >
      <Group justify="space-between">
        <Text size="sm">{stands}</Text>
        <OrderButton
          path={PATH}
          parameters={{ stopScrapeReason: "" }}
          label="Scrape again"
          name="Scrape again"
          hint="Let all shards scrape again"
          colour="teal"
        >
          <Text size="sm">All shards scrape their targets again.</Text>
        </OrderButton>
      </Group>
    </Alert>
  );
}

function StopButton() {
  const [reason, setReason] = useState("");
  return (
    <OrderButton
      path={PATH}
      parameters={{ stopScrapeReason: reason.trim() }}
      label="Stop scraping"
      name="Stop scraping"
      hint="Emergency switch: no shard scrapes anything"
      colour="red"
      isIncomplete={reason.trim() === ""}
    >
      <Text size="sm">
        No target is asked until you say so, whatever is restarted meanwhile. Their series end, up
        is 0.
      </Text>
      <TextInput
        label="Why"
        description="Everybody sees it"
        value={reason}
        onChange={(event) => setReason(event.currentTarget.value)}
        data-autofocus
      />
    </OrderButton>
  );
}
