/** Prints the path of a real Prometheus, fetching it first when it is not there: for the demonstration on real shards. */
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { prometheusPath } from "./parts.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
try {
  console.log(prometheusPath(root));
} catch (error) {
  const reason = error instanceof Error ? error.message : String(error);
  console.error(
    `shoal: cannot fetch the real Prometheus (${reason}): install Prometheus 2.30 or later and run again, or say where it is with --prometheus.binary=/path/to/prometheus`,
  );
  process.exit(1);
}
