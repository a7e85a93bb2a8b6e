/** The Prometheus operator's custom resources, as types of a fake API server. */
import type { FakeType } from "./fake-kubernetes-store.ts";

function monitoring(version: string, plural: string, kind: string): FakeType {
  return {
    group: "monitoring.coreos.com",
    version,
    plural,
    kind,
    isNamespaced: true,
    hasStatus: true,
  };
}

export const MONITORING_TYPES: readonly FakeType[] = [
  monitoring("v1", "prometheuses", "Prometheus"),
  monitoring("v1", "servicemonitors", "ServiceMonitor"),
  monitoring("v1", "podmonitors", "PodMonitor"),
  monitoring("v1", "probes", "Probe"),
  monitoring("v1alpha1", "scrapeconfigs", "ScrapeConfig"),
];
