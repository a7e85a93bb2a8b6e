import { Secret } from "./secret.ts";
import type { HttpClientConfig } from "./types.ts";

/** An HTTP client's configuration with nothing special in it. */
export function plainHttpClient(options: Partial<HttpClientConfig> = {}): HttpClientConfig {
  return {
    basicAuth: undefined,
    authorization: undefined,
    oauth2: undefined,
    tls: {
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
    },
    followRedirects: true,
    enableHttp2: true,
    proxy: { url: "", noProxy: "", fromEnvironment: false, connectHeader: {} },
    headers: {},
    ...options,
  };
}
