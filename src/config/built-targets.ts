import { quote } from "../base/text.ts";
import { Labels } from "../model/labels.ts";
import { relabel } from "../model/relabel.ts";
import { TargetBuilder } from "../model/target-build.ts";
import type { Reader } from "./reader.ts";
import { toRelabelConfigs } from "./relabel.ts";
import type { RootValues } from "./root.ts";
import { toScrapeConfig, type ScrapeValues } from "./scrape.ts";

/**
 * What promtool checks beyond Prometheus itself: static targets must come out of relabelling as targets, and a
 * certificate file goes with a key file.
 */
export function checkJobTargets(jobs: readonly ScrapeValues[], reader: Reader): void {
  for (const job of jobs) {
    checkCertificates(job, reader);
    const at = reader.where(job);
    const builder = new TargetBuilder(toScrapeConfig(job));
    for (const [index, group] of job.static_configs.entries())
      for (const [i, address] of group.targets.entries()) {
        const result = builder.build({ __address__: address }, group.labels);
        if (result.kind === "error")
          at.fail("static_configs", `instance ${i} in group ${index}: ${result.message}`, {
            index,
            help: "a target is host:port; the path goes into metrics_path and http or https into scheme",
          });
      }
  }
}

function checkCertificates(job: ScrapeValues, reader: Reader): void {
  const { cert_file: certificate, key_file: key } = job.tls_config;
  const at = reader.where(job.tls_config);
  if (certificate !== "" && key === "")
    at.fail(
      "cert_file",
      `client cert file ${quote(certificate)} specified without client key file`,
    );
  if (key !== "" && certificate === "")
    at.fail("key_file", `client key file ${quote(key)} specified without client cert file`);
}

/** The same for the Alertmanagers that the file names. */
export function checkAlertmanagerTargets(values: RootValues, reader: Reader): void {
  for (const one of values.alerting.alertmanagers) {
    const rules = toRelabelConfigs(one.relabel_configs);
    for (const [index, group] of one.static_configs.entries())
      for (const target of group.targets) {
        const found = relabel(
          Labels.fromPairs([
            ["__address__", target],
            ["__scheme__", one.scheme],
            [
              "__alerts_path__",
              `${one.path_prefix.replace(/\/$/, "")}/api/${one.api_version}/alerts`,
            ],
            ...Object.entries(group.labels),
          ]),
          rules,
        );
        const address = found?.get("__address__") ?? "";
        if (address.includes("/"))
          reader
            .where(one)
            .fail("static_configs", `${quote(address)} is not a valid hostname`, { index });
      }
  }
}
