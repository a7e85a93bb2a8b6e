import { messageOf } from "../base/errors.ts";
import { parseUrl } from "./url.ts";
import { anything } from "./anything.ts";
import { text, urlText, bool, path, secret, url, oneOf } from "./scalars.ts";
import { field, map, object, type Fields, type Values } from "./object.ts";
import { list, optional, refine, type Kind } from "./kind.ts";
import type { Where } from "./reader.ts";
import type { TlsVersion } from "./types.ts";
import { Secret } from "./secret.ts";

const TLS_VERSIONS: readonly TlsVersion[] = ["TLS10", "TLS11", "TLS12", "TLS13"];
const tlsVersion = oneOf(TLS_VERSIONS, (written) => `unknown TLS version: ${written}`);

/** `tls_config`. */
export const tls = object(
  "tls_config",
  {
    ca: field(text),
    cert: field(text),
    key: field(secret),
    ca_file: field(path),
    cert_file: field(path),
    key_file: field(path),
    ca_ref: field(text),
    cert_ref: field(text),
    key_ref: field(text),
    server_name: field(text),
    insecure_skip_verify: field(bool, { always: true }),
    min_version: field(tlsVersion),
    max_version: field(tlsVersion),
  },
  (values, at) => {
    if (given(values.ca, values.ca_file, values.ca_ref) > 1)
      at.fail("ca", "at most one of ca, ca_file & ca_ref must be configured");
    if (given(values.cert, values.cert_file, values.cert_ref) > 1)
      at.fail("cert", "at most one of cert, cert_file & cert_ref must be configured");
    const keys = given(values.key, values.key_file, values.key_ref);
    if (keys > 1) at.fail("key", "at most one of key and key_file must be configured");
    const certificates = given(values.cert, values.cert_file, values.cert_ref);
    if (certificates > 0 && keys === 0)
      at.fail(
        at.has("cert_file") ? "cert_file" : "cert",
        "exactly one of key or key_file must be configured when a client certificate is configured",
      );
    if (keys > 0 && certificates === 0)
      at.fail(
        at.has("key_file") ? "key_file" : "key",
        "exactly one of cert or cert_file must be configured when a client key is configured",
      );
  },
);

const proxyFields = {
  proxy_url: field(optional(url)),
  no_proxy: field(text),
  proxy_from_environment: field(bool),
  proxy_connect_header: field(map(text, list(secret))),
};

const JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer";

const oauth2 = object(
  "oauth2",
  {
    client_id: field(text),
    client_secret: field(secret),
    client_secret_file: field(path),
    client_secret_ref: field(text),
    client_certificate_key_id: field(text),
    client_certificate_key: field(secret),
    client_certificate_key_file: field(path),
    client_certificate_key_ref: field(text),
    grant_type: field(text),
    signature_algorithm: field(text),
    iss: field(text),
    audience: field(text),
    claims: field(map(text, anything)),
    scopes: field(list(text)),
    token_url: field(urlText),
    endpoint_params: field(map(text, text)),
    tls_config: field(tls),
    ...proxyFields,
  },
  (values, at) => {
    if (values.client_id === "") at.fail("client_id", "oauth2 client_id must be configured");
    if (values.token_url === "") at.fail("token_url", "oauth2 token_url must be configured");
    if (values.grant_type === JWT_BEARER) {
      const keys = given(
        values.client_certificate_key,
        values.client_certificate_key_file,
        values.client_certificate_key_ref,
      );
      if (keys > 1)
        at.fail(
          "client_certificate_key",
          `at most one of oauth2 client_certificate_key, client_certificate_key_file & client_certificate_key_ref must be configured using grant-type=${JWT_BEARER}`,
        );
      if (!["", "RS256", "RS384", "RS512"].includes(values.signature_algorithm))
        at.fail("signature_algorithm", "valid signature algorithms are RS256, RS384 and RS512");
    } else if (given(values.client_secret, values.client_secret_file, values.client_secret_ref) > 1)
      at.fail(
        "client_secret",
        "at most one of oauth2 client_secret, client_secret_file & client_secret_ref must be configured using grant-type=client_credentials",
      );
    checkProxy(values, at);
  },
);

const basicAuth = object("basic_auth", {
  username: field(text),
  username_file: field(path),
  username_ref: field(text),
  password: field(secret),
  password_file: field(path),
  password_ref: field(text),
});

const authorization = object("authorization", {
  type: field(text),
  credentials: field(secret),
  credentials_file: field(path),
  credentials_ref: field(text),
});

/** Headers that Shoal sets itself, besides `authorization`. */
export const RESERVED_HEADERS: ReadonlySet<string> = new Set([
  "host",
  "content-encoding",
  "content-length",
  "content-type",
  "user-agent",
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "www-authenticate",
  "accept-encoding",
  "x-prometheus-remote-write-version",
  "x-prometheus-remote-read-version",
  "x-amz-date",
  "x-amz-security-token",
  "x-amz-content-sha256",
]);

const headerName: Kind<string> = refine(text, (name) => {
  const lower = name.toLowerCase();
  return lower === "authorization" ||
    lower === "x-prometheus-scrape-timeout-seconds" ||
    RESERVED_HEADERS.has(lower)
    ? `setting header "${name}" is not allowed`
    : undefined;
});

const header = object("an HTTP header", {
  values: field(list(text)),
  secrets: field(list(secret)),
  files: field(list(path)),
});

/** The keys that every section which speaks HTTP has beside its own. */
export const httpClientFields = {
  basic_auth: field(optional(basicAuth)),
  authorization: field(optional(authorization)),
  oauth2: field(optional(oauth2)),
  bearer_token: field(secret),
  bearer_token_file: field(path),
  tls_config: field(tls),
  follow_redirects: field(bool, { default: true, always: true }),
  enable_http2: field(bool, { default: true, always: true }),
  ...proxyFields,
  http_headers: field(optional(map(headerName, header))),
};

export type HttpClientValues = Values<typeof httpClientFields>;
export type ProxyValues = Values<typeof proxyFields>;

/** Checks the rules between the keys of an HTTP client; the result has `bearer_token` written as `authorization`. */
export function checkHttpClient<V extends HttpClientValues>(values: V, at: Where): V {
  const { basic_auth: basic, authorization: auth } = values;
  const bearers = given(values.bearer_token, values.bearer_token_file);
  if (bearers > 1)
    at.fail("bearer_token", "at most one of bearer_token & bearer_token_file must be configured");
  else if (bearers > 0 && (basic !== undefined || values.oauth2 !== undefined))
    at.fail(
      at.has("bearer_token") ? "bearer_token" : "bearer_token_file",
      "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured",
    );
  if (basic !== undefined) {
    if (given(basic.username, basic.username_file, basic.username_ref) > 1)
      at.fail(
        "basic_auth",
        "at most one of basic_auth username, username_file & username_ref must be configured",
      );
    if (given(basic.password, basic.password_file, basic.password_ref) > 1)
      at.fail(
        "basic_auth",
        "at most one of basic_auth password, password_file & password_ref must be configured",
      );
  }
  if (auth !== undefined) {
    if (bearers > 0)
      at.fail(
        "authorization",
        "authorization is not compatible with bearer_token & bearer_token_file",
      );
    if (given(auth.credentials, auth.credentials_file, auth.credentials_ref) > 1)
      at.fail(
        "authorization",
        "at most one of authorization credentials & credentials_file must be configured",
      );
    if (auth.type.trim().toLowerCase() === "basic")
      at.fail(
        "authorization",
        'authorization type cannot be set to "basic", use "basic_auth" instead',
      );
  }
  if (given(basic, auth, values.oauth2) > 1)
    at.fail(
      auth === undefined ? "oauth2" : "authorization",
      "at most one of basic_auth, oauth2 & authorization must be configured",
    );
  checkProxy(values, at);
  return withAuthorization(values);
}

function withAuthorization<V extends HttpClientValues>(values: V): V {
  const { authorization: auth, bearer_token: token, bearer_token_file: file } = values;
  if (auth !== undefined)
    return { ...values, authorization: { ...auth, type: auth.type.trim() || "Bearer" } };
  if (given(token, file) === 0) return values;
  return {
    ...values,
    authorization: {
      ...authorization.defaults,
      type: "Bearer",
      credentials: token,
      credentials_file: file,
    },
    bearer_token: Secret.NONE,
    bearer_token_file: "",
  };
}

function checkProxy(values: ProxyValues, at: Where): void {
  const environment = values.proxy_from_environment;
  const hasUrl = values.proxy_url !== undefined && values.proxy_url !== "";
  if (Object.keys(values.proxy_connect_header).length > 0 && !environment && !hasUrl)
    at.fail(
      "proxy_connect_header",
      "if proxy_connect_header is configured, proxy_url or proxy_from_environment must also be configured",
    );
  if (environment && hasUrl)
    at.fail(
      "proxy_url",
      "if proxy_from_environment is configured, proxy_url must not be configured",
    );
  if (environment && values.no_proxy !== "")
    at.fail("no_proxy", "if proxy_from_environment is configured, no_proxy must not be configured");
  if (values.proxy_url === undefined && values.no_proxy !== "")
    at.fail("no_proxy", "if no_proxy is configured, proxy_url must also be configured");
}

/** How many of these are set. */
export function given(...values: readonly (string | Secret | object | undefined)[]): number {
  let set = 0;
  for (const value of values) if (!isUnset(value)) set++;
  return set;
}

function isUnset(value: string | Secret | object | undefined): boolean {
  if (value === undefined || value === "") return true;
  return typeof value === "object" && "isEmpty" in value && value.isEmpty === true;
}

/** The rules for a `url` that discovery asks over HTTP. */
export function checkHttpUrl(written: string, at: Where): void {
  if (written === "") return at.fail("url", "URL is missing");
  try {
    const { scheme, host } = parseUrl(written);
    if (scheme !== "http" && scheme !== "https")
      at.fail("url", "URL scheme must be 'http' or 'https'");
    else if (host === "") at.fail("url", "host is missing in URL");
  } catch (error) {
    at.fail("url", messageOf(error));
  }
}

/** Whether no key of the HTTP client is set to anything but its default. */
export function isDefaultHttpClient(values: HttpClientValues): boolean {
  const { follow_redirects: follows, enable_http2: http2, ...rest } = values;
  const fields: Fields = httpClientFields;
  const others: Readonly<Record<string, unknown>> = rest;
  return (
    follows &&
    http2 &&
    Object.keys(fields).every(
      (key) => !Object.hasOwn(others, key) || fields[key]!.kind.isEmpty(others[key]),
    )
  );
}
