import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { delimiter, join, resolve } from "node:path";
import { AppError } from "../base/errors.ts";
import { formatDuration } from "../base/units.ts";
import { OWN_ARGUMENTS } from "../sidecar/prometheus-process.ts";

/** The absolute path of `--prometheus.binary`: a path, or a name that is looked up in PATH. Rejects when it cannot run. */
export async function findPrometheus(
  name: string,
  path: string = process.env["PATH"] ?? "",
): Promise<string> {
  const isPath = name.includes("/");
  const candidates = isPath
    ? [resolve(name)]
    : path.split(delimiter).flatMap((folder) => (folder === "" ? [] : [resolve(folder, name)]));
  for (const candidate of candidates) if (await isExecutable(candidate)) return candidate;
  throw new AppError(
    "not-found",
    `cannot find the program ${name}${isPath ? "" : " in PATH"}: install Prometheus 2.30 or later (a system package called "prometheus", or a release from prometheus.io/download), or say where it is with --prometheus.binary=/path/to/prometheus`,
  );
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** How the sidecar's own Prometheus is started, but for what the sidecar decides by itself. */
export interface PrometheusStart {
  /** `--prometheus.args`: arguments with spaces between. */
  readonly prometheusArgs: string;
  /** ms; 0: Prometheus's default, or what its configuration says. */
  readonly retentionTime: number;
  /** Bytes; 0 for no limit. */
  readonly retentionSize: number;
  readonly logLevel: string;
  readonly logFormat: string;
}

/** Throws `bad-data` for arguments that are the sidecar's own business. What the operator gives replaces ours. */
export function prometheusArguments(start: PrometheusStart): string[] {
  const given = start.prometheusArgs.split(/\s+/).filter((argument) => argument !== "");
  const names = new Set(given.map((argument) => argument.split("=", 1)[0]!));
  const own = OWN_ARGUMENTS.find((name) => names.has(name));
  if (own !== undefined)
    throw new AppError("bad-data", `cannot use ${own} in --prometheus.args: the sidecar sets it`);
  const { retentionTime, retentionSize, logLevel, logFormat } = start;
  const ours = {
    "--log.level": logLevel,
    "--log.format": logFormat,
    ...(retentionTime > 0 && { "--storage.tsdb.retention.time": formatDuration(retentionTime) }),
    ...(retentionSize > 0 && { "--storage.tsdb.retention.size": `${retentionSize}B` }),
  };
  return [
    ...Object.entries(ours).flatMap(([name, value]) =>
      names.has(name) ? [] : [`${name}=${value}`],
    ),
    ...given,
  ];
}

/** Where the sidecar's own Prometheus keeps its TSDB when nothing is said. */
export function defaultTsdbFolder(storePath: string): string {
  return join(storePath, "prometheus");
}
