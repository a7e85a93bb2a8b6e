import { isIP } from "node:net";
import { addressText, parseListenAddress } from "../api/server.ts";
import type { Clock } from "../base/clock.ts";
import { AppError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Registry } from "../base/metrics.ts";
import { systemRandom } from "../base/random.ts";
import type { Service } from "../base/service.ts";
import { overrideClient } from "../config/overrides.ts";
import { createHttpClient } from "../http/client.ts";
import type { Delivery } from "../sidecar/prometheus-engine.ts";
import { ScrapeProxy } from "../sidecar/scrape-proxy.ts";
import type { FlagValues } from "./flags.ts";
import type { SIDECAR_FLAGS } from "./sidecar-flags.ts";

/** What `--inject.proxy` is when nothing is said. */
const OWN_PROXY = "auto";

/** How `--delivery` gets targets to Prometheus, with the services that this takes. */
export function createDelivery(
  flags: FlagValues<typeof SIDECAR_FLAGS>,
  parts: {
    readonly clock: Clock;
    readonly logger: Logger;
    readonly registry: Registry;
    readonly userAgent: string;
  },
): { readonly delivery: Delivery; readonly services: readonly Service[] } {
  const fetchHeadSeries = flags.fetchHeadSeries === "true";
  if (flags.delivery === "direct") {
    if (!fetchHeadSeries)
      throw new AppError(
        "bad-data",
        "cannot sum up the targets' series (--shard.fetch-head-series=false): only --delivery=proxy knows them",
      );
    if (flags.scrapeDisableKeepAlive)
      parts.logger.warn(
        "--scrape.disable-keep-alive has no effect with --delivery=direct: Prometheus scrapes by itself",
      );
    return { delivery: { kind: "direct" }, services: [] };
  }
  const listen = parseListenAddress(flags.proxyAddress);
  if (!isLoopback(listen.host) && !flags.proxyAllowRemote)
    throw new AppError(
      "bad-data",
      `cannot let the scrape proxy listen on ${flags.proxyAddress}: others could use the jobs' credentials; take a loopback address, or allow it with --web.proxy-allow-remote`,
    );
  const { userAgent, ...rest } = parts;
  const proxy = new ScrapeProxy({
    ...rest,
    listen,
    random: systemRandom,
    createClient: (config) =>
      createHttpClient(overrideClient(config, flags), {
        userAgent,
        keepAlive: !flags.scrapeDisableKeepAlive,
      }),
  });
  const proxyUrl = (): string =>
    flags.injectProxy === OWN_PROXY
      ? `http://${addressText(reachable(proxy.address()))}`
      : flags.injectProxy;
  return { delivery: { kind: "proxy", proxy, proxyUrl, fetchHeadSeries }, services: [proxy] };
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

/** Where the neighbour reaches what listens on every interface. */
function reachable(address: { host: string; port: number }): { host: string; port: number } {
  const isAny = address.host === "::" || address.host === "0.0.0.0";
  return isAny ? { host: "127.0.0.1", port: address.port } : address;
}
