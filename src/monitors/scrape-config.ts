import type { Fields } from "../kubernetes/fields.ts";
import { honorLabels, honorTimestamps, metricRules, scrapeKeys, timing } from "./common-keys.ts";
import {
  basicAuth,
  jobAuthorization,
  jobTlsConfig,
  oauth2,
  proxy,
  textOf,
  unlessEmpty,
} from "./http-options.ts";
import type { MonitorJob } from "./job.ts";
import { listMap } from "./params.ts";
import { constant, FIRST_RULE, userRules } from "./relabelings.ts";
import { scrapeConfigDiscovery } from "./scrape-config-discovery.ts";
import type { Translation } from "./translation.ts";

/** The job of a ScrapeConfig. */
export function scrapeConfigJob(spec: Fields, at: Translation): MonitorJob {
  const { settings } = at;
  const scrapeClass = settings.scrapeClass(spec, at);
  const jobName = spec.text("jobName");
  const rules = userRules(spec, "relabelings");
  const honors = spec.optionalFlag("honorLabels");
  const timestamps = spec.optionalFlag("honorTimestamps");
  return {
    job_name: `scrapeConfig/${at.namespace}/${at.name}`,
    honor_timestamps: timestamps === undefined ? undefined : honorTimestamps(timestamps, at),
    track_timestamps_staleness: spec.optionalFlag("trackTimestampsStaleness"),
    honor_labels: honors === undefined ? undefined : honorLabels(honors, at),
    metrics_path: textOf(spec, "metricsPath"),
    params: listMap(spec, "params"),
    enable_compression: spec.optionalFlag("enableCompression"),
    enable_http2: spec.optionalFlag("enableHTTP2"),
    ...timing(spec, { interval: "scrapeInterval", timeout: "scrapeTimeout" }, at),
    scheme: textOf(spec, "scheme")?.toLowerCase(),
    ...proxy(spec, at),
    basic_auth: basicAuth(spec, at),
    authorization: jobAuthorization(unlessEmpty(spec, "authorization"), scrapeClass, at),
    oauth2: oauth2(spec, at),
    tls_config: jobTlsConfig(unlessEmpty(spec, "tlsConfig"), scrapeClass, at),
    ...scrapeKeys(spec, scrapeClass, at),
    ...settings.nameSchemes(spec),
    body_size_limit: settings.bodySizeLimit(spec.text("bodySizeLimit")),
    ...scrapeConfigDiscovery(spec, at),
    relabel_configs: [
      FIRST_RULE,
      ...(scrapeClass?.relabelings ?? []),
      ...(jobName === "" ? [] : [constant("job", jobName)]),
      ...rules,
      // As the operator: without rules of its own a ScrapeConfig is held to its namespace by the metric rules alone.
      ...(rules.length === 0 ? [] : settings.enforcedRules("ScrapeConfig", at)),
    ],
    metric_relabel_configs: metricRules(spec, { kind: "ScrapeConfig", scrapeClass }, at),
  };
}
