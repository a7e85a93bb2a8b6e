import { choiceFlag, durationFlag, switchFlag, textFlag, urlFlag } from "./flags.ts";

/** Flags that several roles have. */

export const LOG_FLAGS = {
  logLevel: choiceFlag(
    {
      name: "log.level",
      value: "level",
      help: "Least important log lines that are written: debug, info, warn or error.",
    },
    { fallback: "info", choices: ["debug", "info", "warn", "error"] },
  ),
  logFormat: choiceFlag(
    { name: "log.format", value: "format", help: "How log lines are written: logfmt or json." },
    { fallback: "logfmt", choices: ["logfmt", "json"] },
  ),
} as const;

export const CONFIG_FLAGS = {
  configFile: textFlag(
    { name: "config.file", value: "path", help: "The Prometheus configuration file." },
    "prometheus.yml",
  ),
} as const;

export const AUTO_RELOAD_FLAGS = {
  autoReloadInterval: durationFlag(
    {
      name: "config.auto-reload-interval",
      help: "How often --config.file is looked at, and read again when what it says has changed. 0s: only when told to.",
    },
    "0",
  ),
} as const;

export const LIFECYCLE_FLAGS = {
  enableLifecycle: switchFlag({
    name: "web.enable-lifecycle",
    help: "Allow reloading and stopping by HTTP: POST /-/reload, POST /-/quit.",
  }),
} as const;

export const ADMIN_FLAGS = {
  enableAdminApi: switchFlag({
    name: "web.enable-admin-api",
    help: "Allow changing the system by HTTP: draining shards with POST /api/v1/shards/drain, stopping all scrapes with POST /api/v1/status/extra_config.",
  }),
} as const;

export const SCRAPE_FLAGS = {
  scrapeProxy: urlFlag({
    name: "scrape.proxy",
    variable: "SCRAPE_PROXY",
    help: "The proxy that all scrapes go through, whatever proxy_url a job has; that goes to the proxy as the header Origin-Proxy. http_sd_configs without a proxy use it too.",
  }),
  scrapeDisableKeepAlive: switchFlag({
    name: "scrape.disable-keep-alive",
    help: "Open a new connection for each scrape. Not by a sidecar with --delivery=direct: there Prometheus scrapes by itself and keeps its connections.",
  }),
  serviceAccountPath: textFlag(
    {
      name: "inject.kubernetes-sa-path",
      value: "path",
      help: "Folder of the service account's token and ca.crt, for jobs and kubernetes_sd_configs that name Kubernetes's usual one.",
    },
    "",
  ),
} as const;
