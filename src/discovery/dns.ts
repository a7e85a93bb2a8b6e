import { Resolver } from "node:dns/promises";
import { AppError, messageOf, systemCode } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import type { TargetGroup } from "../model/target.ts";
import { candidateNames, readSearchRules, type SearchRules } from "./dns-names.ts";
import { refreshLoop, type Mechanism, type MechanismContext } from "./mechanism.ts";

const ANSWER_TIMEOUT_MS = 5000;
const TRIES = 2;

type RecordType = "A" | "AAAA" | "MX" | "NS" | "SRV";
type TargetLabels = Readonly<Record<string, string>>;

interface DnsConfig {
  readonly names: readonly string[];
  readonly type: RecordType;
  /** For every type but SRV, whose records carry their own. */
  readonly port: number;
  readonly refreshIntervalMs: number;
}

export interface DnsOptions {
  /** `address:port` of the servers to ask. Default: the system's. */
  readonly servers?: readonly string[];
  /** Default: from /etc/resolv.conf. */
  readonly searchRules?: SearchRules;
}

/**
 * Targets from DNS records, one group for each name. A name that does not exist has no targets; one whose servers fail
 * keeps its last ones.
 */
export function createDns(
  config: DnsConfig,
  context: MechanismContext,
  options: DnsOptions = {},
): Mechanism {
  const { registry, logger } = context;
  const lookups = registry.counter(
    "prometheus_sd_dns_lookups_total",
    "The number of DNS-SD lookups.",
  );
  const failures = registry.counter(
    "prometheus_sd_dns_lookup_failures_total",
    "The number of DNS-SD lookup failures.",
  );
  return {
    async run(report, signal) {
      const resolver = new Resolver({ timeout: ANSWER_TIMEOUT_MS, tries: TRIES });
      if (options.servers !== undefined) resolver.setServers(options.servers);
      signal.addEventListener("abort", () => resolver.cancel(), { once: true });
      const known = new Map<string, TargetGroup>();
      await refreshLoop(
        { mechanism: "dns", intervalMs: config.refreshIntervalMs, context, report, signal },
        async () => {
          const rules = options.searchRules ?? (await readSearchRules());
          const errors: string[] = [];
          const look = async (name: string): Promise<void> => {
            lookups.inc();
            try {
              known.set(name, toGroup(name, await lookUp({ resolver, name, rules, config })));
            } catch (error) {
              if (signal.aborted) return;
              failures.inc();
              logger.error("cannot refresh targets", { discovery: "dns", name, error });
              errors.push(messageOf(error));
            }
          };
          await Promise.all(config.names.map(look));
          // When no name was ever resolved, there is no list yet.
          if (known.size === 0 && errors.length > 0) return { errors };
          return {
            groups: config.names.flatMap((name) => known.get(name) ?? []),
            isPartial: config.names.some((name) => !known.has(name)),
            errors,
          };
        },
      );
    },
  };
}

function toGroup(name: string, found: readonly TargetLabels[]): TargetGroup {
  return {
    source: name,
    labels: {},
    targets: found.map((labels) => ({ ...labels, __meta_dns_name: name })),
  };
}

/** Asks along the search path; the first name that exists answers. */
async function lookUp(options: {
  resolver: Resolver;
  name: string;
  rules: SearchRules;
  config: DnsConfig;
}): Promise<TargetLabels[]> {
  const { resolver, name, rules, config } = options;
  let failure: unknown;
  for (const candidate of candidateNames(name, rules)) {
    try {
      return await RESOLVE[config.type](resolver, candidate, config.port);
    } catch (error) {
      const code = systemCode(error);
      if (code !== "ENOTFOUND" && code !== "ENODATA") failure = error;
    }
  }
  if (failure === undefined) return [];
  throw new AppError(
    "unavailable",
    `could not resolve ${quote(name)}: all servers responded with errors to at least one search domain`,
    { cause: failure },
  );
}

/** Record targets are shown as fully qualified, with the final dot; addresses go without it. */
const RESOLVE: Record<
  RecordType,
  (resolver: Resolver, name: string, port: number) => Promise<TargetLabels[]>
> = {
  async A(resolver, name, port) {
    return (await resolver.resolve4(name)).map((address) => ({
      __address__: hostPort(address, port),
    }));
  },
  async AAAA(resolver, name, port) {
    return (await resolver.resolve6(name)).map((address) => ({
      __address__: hostPort(address, port),
    }));
  },
  async MX(resolver, name, port) {
    return (await resolver.resolveMx(name)).map(({ exchange }) => ({
      __address__: hostPort(exchange, port),
      __meta_dns_mx_record_target: `${exchange}.`,
    }));
  },
  async NS(resolver, name, port) {
    return (await resolver.resolveNs(name)).map((server) => ({
      __address__: hostPort(server, port),
      __meta_dns_ns_record_target: `${server}.`,
    }));
  },
  async SRV(resolver, name) {
    return (await resolver.resolveSrv(name)).map((record) => ({
      __address__: hostPort(record.name, record.port),
      __meta_dns_srv_record_target: `${record.name}.`,
      __meta_dns_srv_record_port: String(record.port),
    }));
  },
};

function hostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
