import { Secret } from "../config/secret.ts";
import type { ScrapeConfig } from "../config/types.ts";

/**
 * Equal for scrape configurations under which targets are scraped alike. How targets are found and relabelled is left
 * out: it has done its work when a target arrives, and one more static target must not touch the others.
 */
export function scrapeFingerprint(config: ScrapeConfig): string {
  const { serviceDiscovery, relabelConfigs, keepDroppedTargets, ...rest } = config;
  void [serviceDiscovery, relabelConfigs, keepDroppedTargets];
  return configFingerprint(rest);
}

/** Equal for scrape configurations that give exposed series the same labels. */
export function labelingFingerprint(config: ScrapeConfig): string {
  return configFingerprint([
    config.honorLabels,
    config.metricRelabelConfigs,
    config.metricNameValidationScheme,
    config.labelLimit,
    config.labelNameLengthLimit,
    config.labelValueLengthLimit,
  ]);
}

/** Text that is equal for configurations that mean the same, secrets included: for comparing, never for showing. */
export function configFingerprint(config: object): string {
  return JSON.stringify(config, function (this: Record<string, unknown>, key, value: unknown) {
    // JSON.stringify asks toJSON first, which hides a secret: look at the original.
    const original = this[key];
    return original instanceof Secret ? original.reveal() : value;
  });
}
