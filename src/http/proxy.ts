import { BlockList, isIP } from "node:net";
import type { ProxyConfig } from "../config/types.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** Decides through which proxy, if any, a URL is reached; the result is the proxy's URL. */
export type ProxyChooser = (url: URL) => string | undefined;

/**
 * Go's rules (golang.org/x/net/http/httpproxy): `proxy_url` alone is used for everything; with `no_proxy`, and always
 * from the environment, loopback and the listed hosts are reached directly.
 */
export function createProxyChooser(config: ProxyConfig, environment: Environment): ProxyChooser {
  if (config.fromEnvironment) {
    const read = (name: string): string =>
      environment[name] || environment[name.toLowerCase()] || "";
    const bypassed = createBypass(read("NO_PROXY"));
    const http = withScheme(read("HTTP_PROXY"));
    const https = withScheme(read("HTTPS_PROXY"));
    return (url) => {
      const proxy = url.protocol === "https:" ? https : http;
      return proxy === undefined || bypassed(url) ? undefined : proxy;
    };
  }
  const proxy = withScheme(config.url);
  if (proxy === undefined) return () => undefined;
  if (config.noProxy === "") return () => proxy;
  const bypassed = createBypass(config.noProxy);
  return (url) => (bypassed(url) ? undefined : proxy);
}

function withScheme(proxy: string): string | undefined {
  if (proxy === "") return undefined;
  return proxy.includes("://") ? proxy : `http://${proxy}`;
}

interface HostRule {
  readonly host: string;
  /** Whether the host itself matches, and not only its subdomains. */
  readonly self: boolean;
  readonly port: string;
}

/** Whether `noProxy` (comma-separated hosts, `.domains`, addresses, CIDR blocks, `*`, each with an optional port) lists a URL. */
function createBypass(noProxy: string): (url: URL) => boolean {
  const blocks = new BlockList();
  const rules: HostRule[] = [];
  let everything = false;
  for (const item of noProxy.split(",")) {
    const entry = item.trim().toLowerCase();
    if (entry === "") continue;
    if (entry === "*") everything = true;
    else if (!addBlock(blocks, entry)) rules.push(parseRule(entry));
  }
  return (url) => {
    const host = url.hostname.replace(/^\[|\]$/g, "").replace(/\.$/, "");
    const family = isIP(host);
    if (everything || host === "localhost" || isLoopback(host, family)) return true;
    if (family !== 0 && blocks.check(host, family === 6 ? "ipv6" : "ipv4")) return true;
    const port = url.port || (url.protocol === "https:" ? "443" : "80");
    return rules.some(
      (rule) =>
        (rule.port === "" || rule.port === port) &&
        ((rule.self && host === rule.host) || (family === 0 && host.endsWith(`.${rule.host}`))),
    );
  };
}

function isLoopback(host: string, family: number): boolean {
  return (family === 4 && host.startsWith("127.")) || (family === 6 && host === "::1");
}

function addBlock(blocks: BlockList, entry: string): boolean {
  const slash = entry.indexOf("/");
  if (slash < 0) return false;
  const address = entry.slice(0, slash);
  const bits = Number(entry.slice(slash + 1));
  const family = isIP(address);
  if (family === 0 || !Number.isInteger(bits) || bits < 0 || bits > (family === 6 ? 128 : 32))
    return false;
  blocks.addSubnet(address, bits, family === 6 ? "ipv6" : "ipv4");
  return true;
}

function parseRule(entry: string): HostRule {
  const bracketed = /^\[(.+)\](?::(\d+))?$/.exec(entry);
  if (bracketed !== null) return { host: bracketed[1]!, self: true, port: bracketed[2] ?? "" };
  const ported = isIP(entry) === 6 ? null : /^(.+):(\d+)$/.exec(entry);
  const host = ported?.[1] ?? entry;
  const port = ported?.[2] ?? "";
  if (host.startsWith("*.")) return { host: host.slice(2), self: false, port };
  if (host.startsWith(".")) return { host: host.slice(1), self: false, port };
  return { host, self: true, port };
}
