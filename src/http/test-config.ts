import { Secret } from "../config/secret.ts";
import type { HttpClientConfig, ProxyConfig, TlsConfig } from "../config/types.ts";

/** Configurations for tests: everything off, but for what is given. */
export function testTls(options: Partial<TlsConfig> = {}): TlsConfig {
  return {
    ca: "",
    caFile: "",
    cert: "",
    certFile: "",
    key: Secret.NONE,
    keyFile: "",
    serverName: "",
    insecureSkipVerify: false,
    minVersion: "",
    maxVersion: "",
    ...options,
  };
}

export function testProxy(options: Partial<ProxyConfig> = {}): ProxyConfig {
  return { url: "", noProxy: "", fromEnvironment: false, connectHeader: {}, ...options };
}

export function testHttpConfig(options: Partial<HttpClientConfig> = {}): HttpClientConfig {
  return {
    basicAuth: undefined,
    authorization: undefined,
    oauth2: undefined,
    tls: testTls(),
    followRedirects: true,
    enableHttp2: true,
    proxy: testProxy(),
    headers: {},
    ...options,
  };
}
