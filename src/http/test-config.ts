import { plainHttpClient } from "../config/plain-http-client.ts";
import type { ProxyConfig, TlsConfig } from "../config/types.ts";

/** Parts of configurations for tests: everything off, but for what is given. */
export function testTls(options: Partial<TlsConfig> = {}): TlsConfig {
  return { ...plainHttpClient().tls, ...options };
}

export function testProxy(options: Partial<ProxyConfig> = {}): ProxyConfig {
  return { ...plainHttpClient().proxy, ...options };
}
