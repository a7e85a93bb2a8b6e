import type { HttpClientValues, ProxyValues, tls } from "./http-client.ts";
import type { HttpClientConfig, OAuth2Config, ProxyConfig, TlsConfig } from "./types.ts";

/** The decoded keys in the shape the rest of the program uses. */
export function toHttpClient(values: HttpClientValues): HttpClientConfig {
  const basic = values.basic_auth;
  return {
    basicAuth: basic && {
      username: basic.username,
      usernameFile: basic.username_file,
      password: basic.password,
      passwordFile: basic.password_file,
    },
    authorization: values.authorization && {
      type: values.authorization.type,
      credentials: values.authorization.credentials,
      credentialsFile: values.authorization.credentials_file,
    },
    oauth2: toOAuth2(values.oauth2),
    tls: toTls(values.tls_config),
    followRedirects: values.follow_redirects,
    enableHttp2: values.enable_http2,
    proxy: toProxy(values),
    headers: values.http_headers ?? {},
  };
}

function toOAuth2(values: HttpClientValues["oauth2"]): OAuth2Config | undefined {
  return (
    values && {
      clientId: values.client_id,
      clientSecret: values.client_secret,
      clientSecretFile: values.client_secret_file,
      scopes: values.scopes,
      tokenUrl: values.token_url,
      endpointParams: values.endpoint_params,
      tls: toTls(values.tls_config),
      proxy: toProxy(values),
    }
  );
}

function toTls(values: typeof tls.defaults): TlsConfig {
  return {
    ca: values.ca,
    caFile: values.ca_file,
    cert: values.cert,
    certFile: values.cert_file,
    key: values.key,
    keyFile: values.key_file,
    serverName: values.server_name,
    insecureSkipVerify: values.insecure_skip_verify,
    minVersion: values.min_version,
    maxVersion: values.max_version,
  };
}

function toProxy(values: ProxyValues): ProxyConfig {
  return {
    url: values.proxy_url ?? "",
    noProxy: values.no_proxy,
    fromEnvironment: values.proxy_from_environment,
    connectHeader: values.proxy_connect_header,
  };
}
