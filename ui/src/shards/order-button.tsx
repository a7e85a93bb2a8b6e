import { Button, Group, Modal, Stack, Tooltip } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { api } from "../api.ts";
import { Problem } from "../problem.tsx";

interface Permission {
  enabled: boolean;
  reason: string;
}

/**
 * Posts an order after asking; disabled with the reason when the server does not allow it. GET of the same path tells
 * whether it does.
 */
export function OrderButton({
  path,
  parameters,
  label,
  name,
  hint,
  colour,
  isIncomplete = false,
  children,
}: {
  path: string;
  parameters: Record<string, string>;
  label: string;
  /** What it does and to what, for its dialogue and for those who hear it. */
  name: string;
  hint: string;
  colour: string;
  /** Something must be filled in first. */
  isIncomplete?: boolean;
  /** What the dialogue says. */
  children: ReactNode;
}) {
  const [opened, { open, close }] = useDisclosure(false);
  const client = useQueryClient();
  const permission = useQuery({
    queryKey: ["permission", path],
    queryFn: ({ signal }) => api<Permission>(path, {}, { signal }),
    staleTime: 60_000,
  });
  const order = useMutation({
    mutationFn: () => api(path, parameters, { post: true }),
    onSuccess: async () => {
      close();
      await client.invalidateQueries();
    },
  });
  const allowed = permission.data?.data.enabled === true;
  const shown = allowed
    ? hint
    : (permission.data?.data.reason ?? permission.error?.message ?? "asking the server");
  return (
    <>
      <Tooltip label={shown} multiline maw={280}>
        <Button
          size="compact-xs"
          variant="default"
          aria-label={name}
          aria-description={shown}
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
      <Modal opened={opened} onClose={close} title={`${name}?`} centered>
        <Stack gap="md">
          {children}
          {order.error !== null && (
            <Problem title="The server refused" message={order.error.message} />
          )}
          <Group justify="flex-end" gap="sm">
            <Button variant="default" onClick={close}>
              Cancel
            </Button>
            <Button
              color={colour}
              disabled={isIncomplete}
              loading={order.isPending}
              onClick={() => order.mutate()}
            >
              {label}
            </Button>
          </Group>
        </Stack>
      </Modal>
    </>
  );
}
