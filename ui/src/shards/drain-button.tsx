import { Button, Group, Modal, Text, Tooltip } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, type Shard } from "../api.ts";
import { Problem } from "../problem.tsx";

interface DrainState {
  enabled: boolean;
  reason: string;
}

/** Empties a shard, after asking; disabled with the reason when the server does not allow it. */
export function DrainButton({ shard }: { shard: Shard }) {
  const [opened, { open, close }] = useDisclosure(false);
  const client = useQueryClient();
  const state = useQuery({
    queryKey: ["drain"],
    queryFn: ({ signal }) => api<DrainState>("/api/v1/shards/drain", {}, { signal }),
    staleTime: 60_000,
  });
  const drain = !shard.draining;
  const request = useMutation({
    mutationFn: () =>
      api("/api/v1/shards/drain", { shard: shard.id, drain: String(drain) }, { post: true }),
    onSuccess: async () => {
      close();
      await client.invalidateQueries({ queryKey: ["shards"] });
    },
  });
  const allowed = state.data?.data.enabled === true;
  const hint = allowed
    ? drain
      ? "Move all targets to other shards"
      : "Let it have targets again"
    : (state.data?.data.reason ?? state.error?.message ?? "asking the server");
  const label = drain ? "Drain" : "Use again";
  return (
    <>
      <Tooltip label={hint} multiline maw={280}>
        <Button
          size="compact-xs"
          variant="default"
          aria-label={`${label} ${shard.id}`}
          aria-description={hint}
          // Still reachable by keyboard, so that the hint can be read.
          data-disabled={allowed ? undefined : true}
          aria-disabled={!allowed}
          onClick={(event) => {
            if (allowed) open();
            else event.preventDefault();
          }}
        >
          {label}
        </Button>
      </Tooltip>
      <Modal opened={opened} onClose={close} title={`${label} ${shard.id}?`} centered>
        <Text size="sm" mb="md">
          {drain
            ? `Its ${shard.targets} targets move to other shards, one scrape of each being seen there before it stops here. It gets no new ones until you say so.`
            : "It may have targets again."}
        </Text>
        {request.error !== null && (
          <Problem title="The server refused" message={request.error.message} />
        )}
        <Group justify="flex-end" gap="sm" mt="md">
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button
            color={drain ? "orange" : "teal"}
            loading={request.isPending}
            onClick={() => request.mutate()}
          >
            {label}
          </Button>
        </Group>
      </Modal>
    </>
  );
}
