import {
  choiceFlag,
  durationFlag,
  listFlag,
  numberFlag,
  parsedFlag,
  sizeFlag,
  switchFlag,
  textFlag,
} from "./flags.ts";

/** Flags of what answers queries. */

export const WEB_FLAGS = {
  listenAddress: textFlag(
    {
      name: "web.listen-address",
      value: "host:port",
      help: "Where the HTTP API and the page listen.",
    },
    "127.0.0.1:9090",
  ),
  externalUrl: textFlag(
    {
      name: "web.external-url",
      value: "url",
      help: "The URL under which others reach this server, when it is another than the listen address.",
    },
    "",
  ),
  corsOrigin: textFlag(
    {
      name: "web.cors.origin",
      value: "regex",
      help: "Origins that browsers may call the HTTP API from; fully anchored.",
    },
    ".*",
  ),
} as const;

/** A thread takes some 20 MB; nobody gains by more of them than this. */
const MAX_THREADS = 64;

function parseThreads(text: string): number | "auto" {
  if (text === "auto") return text;
  if (!/^\d+$/.test(text) || Number(text) > MAX_THREADS)
    throw new Error(`it must be auto or a whole number from 0 to ${MAX_THREADS}`);
  return Number(text);
}

/** What one evaluation may take, wherever it runs. */
export const EVALUATION_FLAGS = {
  lookbackDelta: durationFlag(
    {
      name: "query.lookback-delta",
      help: "How far back an expression looks for the newest sample of a series.",
    },
    "5m",
  ),
  queryTimeout: durationFlag(
    { name: "query.timeout", help: "Longest time a query may take." },
    "2m",
  ),
  maxConcurrency: numberFlag(
    {
      name: "query.max-concurrency",
      help: "Queries evaluated at the same time; further ones wait, and the clients they come from take turns.",
    },
    { fallback: 20, min: 1 },
  ),
  maxSamples: numberFlag(
    { name: "query.max-samples", help: "Most samples one query may hold in memory." },
    { fallback: 50_000_000, min: 1 },
  ),
  maxQuerySeries: numberFlag(
    {
      name: "query.max-series",
      help: "Most series one query may read from all stores, counted before anything is decoded.",
    },
    { fallback: 10_000_000, min: 1 },
  ),
  maxQueryChunkBytes: sizeFlag(
    {
      name: "query.max-chunk-bytes",
      help: "Most bytes of encoded samples one query may read from all stores, counted before anything is decoded.",
    },
    "4GB",
    { min: 1 },
  ),
  maxLabelBytes: sizeFlag(
    {
      name: "query.max-label-bytes",
      help: "Most bytes of labels one query may make, as label_replace does; a character counts as one.",
    },
    "64MB",
    { min: 1 },
  ),
  maxLabelValueBytes: sizeFlag(
    {
      name: "query.max-label-value-bytes",
      help: "Longest label value that a query may make, at most 256MB.",
    },
    "1MB",
    { min: 1, max: 256 * 1024 ** 2 },
  ),
  maxResponseBytes: sizeFlag(
    {
      name: "query.max-response-bytes",
      help: "Largest answer to a query, before it is compressed.",
    },
    "1GB",
    { min: 1 },
  ),
  slowQuery: durationFlag(
    {
      name: "query.slow-threshold",
      help: "A query that takes longer is remembered for /api/v1/status/active_queries.",
    },
    "5s",
  ),
} as const;

export const QUERY_FLAGS = {
  ...EVALUATION_FLAGS,
  queryThreads: parsedFlag<number | "auto">(
    {
      name: "query.threads",
      value: "n",
      help: "Threads that evaluate queries, beside the one that reads and answers. 0 or 1: none, that one evaluates too. auto: one less than the cores, at most 8. They start as queries need them.",
    },
    { fallback: "auto", parse: parseThreads, print: String },
  ),
  replicaLabel: listFlag({
    name: "query.replica-label",
    value: "name",
    help: "A label that tells replicas apart: series that differ in it only become one. May be repeated. Default: replica, when the coordinator has replica groups.",
  }),
  dedupFunc: choiceFlag(
    {
      name: "deduplication.func",
      value: "name",
      help: "How replicas become one series: gapless stays with one and loses no scrape at a change, penalty is Thanos's choice, chain takes all samples (for copies).",
    },
    { fallback: "gapless", choices: ["gapless", "penalty", "chain"] },
  ),
  queryLogFile: textFlag(
    {
      name: "query.log-file",
      value: "path",
      help: "Write every query to this file, one JSON object a line, as Prometheus's query_log_file; one that was renamed is begun anew. Default of shoal up: the configuration's.",
    },
    "",
  ),
  pushdown: switchFlag(
    {
      name: "query.pushdown",
      help: "Let shards compute sum, avg, min, max, count, group, topk and bottomk over their own series, where the answer is the same to the last bit; --no-query.pushdown reads the series of all instead.",
    },
    true,
  ),
  partialResponse: switchFlag(
    {
      name: "query.partial-response",
      help: "Answer with warnings when not all stores do; --no-query.partial-response makes that an error. A request's partial_response parameter wins.",
    },
    true,
  ),
} as const;

export const ENDPOINT_FLAGS = {
  coordinatorUrl: textFlag(
    {
      name: "coordinator.url",
      value: "url",
      help: "The coordinator whose shards are asked, like http://127.0.0.1:9091.",
    },
    "",
  ),
  endpoint: listFlag({
    name: "endpoint",
    value: "host:port",
    help: "A further StoreAPI to ask: a Thanos sidecar, store or query. May be repeated.",
  }),
} as const;

export const QUERY_STORE_FLAGS = {
  grpcAddress: textFlag(
    {
      name: "grpc-address",
      value: "host:port",
      help: "Where the query serves all it reads as one StoreAPI (gRPC), for another query above it. Not served by default.",
    },
    "",
  ),
} as const;

export const QUERY_CONFIG_FLAGS = {
  remoteReadConfig: textFlag(
    {
      name: "config.file",
      value: "path",
      help: "The Prometheus configuration file, for its remote_read. Default: none is read from.",
    },
    "",
  ),
} as const;
