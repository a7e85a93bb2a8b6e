import { Alert, Text } from "@mantine/core";
import { IconAlertTriangle, IconInfoCircle } from "@tabler/icons-react";

/** What went wrong, in the server's own words. */
export function Problem({ title, message }: { title: string; message: string }) {
  return (
    <Alert color="red" variant="light" title={title} icon={<IconAlertTriangle />} role="alert">
      <Text size="sm" className="mono" style={{ whiteSpace: "pre-wrap" }}>
        {message}
      </Text>
    </Alert>
  );
}

/** Warnings (partial or doubtful answers) and infos of a query. */
export function Notes({
  warnings,
  infos,
}: {
  warnings: readonly string[];
  infos: readonly string[];
}) {
  return (
    <>
      {warnings.map((text) => (
        <Alert key={text} color="yellow" variant="light" py={6} icon={<IconAlertTriangle />}>
          <Text size="sm">{text}</Text>
        </Alert>
      ))}
      {infos.map((text) => (
        <Alert key={text} color="blue" variant="light" py={6} icon={<IconInfoCircle />}>
          <Text size="sm">{text}</Text>
        </Alert>
      ))}
    </>
  );
}
