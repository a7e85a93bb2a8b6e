import { createPrivateKey, X509Certificate } from "node:crypto";
import type { AppError } from "../base/errors.ts";
import type { Secret } from "../config/secret.ts";
import type { Fields } from "../kubernetes/fields.ts";
import type { JobMap, JobValue } from "./job.ts";
import type { ScrapeClass } from "./prometheus-settings.ts";
import { optionalSecret, secretOf, secretOrConfigMap, type Translation } from "./translation.ts";

/** How custom resources say that HTTP is spoken, as prometheus.yml says it. Secrets stand in the job itself. */

/** `tlsConfig`, with or without files; undefined when there is none. */
export function tlsConfig(tls: Fields | undefined, at: Translation): JobMap | undefined {
  if (tls === undefined) return undefined;
  const ca = secretOrConfigMap(tls.child("ca"), at);
  const cert = secretOrConfigMap(tls.child("cert"), at);
  const key = optionalSecret(tls, "keySecret", at);
  checkCertificates(tls, { ca, cert, key });
  checkTls(tls);
  return {
    insecure_skip_verify: tls.optionalFlag("insecureSkipVerify"),
    ca,
    cert,
    key,
    server_name: textOf(tls, "serverName"),
    min_version: textOf(tls, "minVersion"),
    max_version: textOf(tls, "maxVersion"),
    ca_file: textOf(tls, "caFile"),
    cert_file: textOf(tls, "certFile"),
    key_file: textOf(tls, "keyFile"),
  };
}

const TLS_VERSIONS = ["TLS10", "TLS11", "TLS12", "TLS13"];

/** What must hold for a resource's own section, whatever a scrape class may add. */
function checkTls(tls: Fields): void {
  for (const part of ["ca", "cert"])
    if (tls.child(part).has("secret") && tls.child(part).has("configMap"))
      throw tls.problem(`names both a Secret and a ConfigMap as ${part}`);
  const names = (part: string): boolean =>
    tls.child(part).has("secret") || tls.child(part).has("configMap");
  const hasCert = names("cert") || tls.text("certFile") !== "";
  const hasKey = tls.has("keySecret") || tls.text("keyFile") !== "";
  if (hasCert !== hasKey)
    throw tls.problem(
      hasCert
        ? "has a client certificate without its key"
        : "has a key without its client certificate",
    );
  const [min, max] = ["minVersion", "maxVersion"].map((key) => TLS_VERSIONS.indexOf(tls.text(key)));
  if (min! >= 0 && max! >= 0 && min! > max!)
    throw tls.problem("has a minVersion above its maxVersion");
}

/** A certificate that cannot be read would stop a whole Prometheus from taking its configuration, not only this job. */
function checkCertificates(
  tls: Fields,
  { ca, cert, key }: Readonly<Record<"ca" | "cert" | "key", Secret | string | undefined>>,
): void {
  readPem(ca, () => tls.problem("has a ca that is not a certificate in PEM"));
  const certificate = readPem(cert, () =>
    tls.problem("has a cert that is not a certificate in PEM"),
  );
  if (certificate === undefined || key === undefined) return;
  const fails = (): AppError => tls.problem("has a keySecret that is not the key of its cert");
  try {
    if (certificate.checkPrivateKey(createPrivateKey(revealed(key)))) return;
  } catch {
    // Why a key cannot be read may show some of it.
    throw fails();
  }
  throw fails();
}

function readPem(
  value: Secret | string | undefined,
  problem: () => AppError,
): X509Certificate | undefined {
  if (value === undefined) return undefined;
  try {
    return new X509Certificate(revealed(value));
  } catch {
    throw problem();
  }
}

function revealed(value: Secret | string): string {
  return typeof value === "string" ? value : value.reveal();
}

/** `tls_config` of a job: the resource's own, the scrape class's, or its own with the class's files where it names none. */
export function jobTlsConfig(
  tls: Fields | undefined,
  scrapeClass: ScrapeClass | undefined,
  at: Translation,
): JobMap | undefined {
  const own = tlsConfig(tls, at);
  const common = scrapeClass?.tls;
  if (own === undefined) return common;
  if (common === undefined) return own;
  const filled: Record<string, JobValue> = { ...own };
  for (const part of ["ca", "cert", "key"])
    if (own[part] === undefined && own[`${part}_file`] === undefined)
      filled[`${part}_file`] = common[`${part}_file`];
  return filled;
}

/** The mapping at `key`, undefined when it says nothing: what the operator takes for none. */
export function unlessEmpty(of: Fields, key: string): Fields | undefined {
  const found = of.optionalChild(key);
  return found !== undefined && saysNothing(found) ? undefined : found;
}

function saysNothing(fields: Fields): boolean {
  return fields.keys().every((key) => {
    if (key === "ca" || key === "cert") return saysNothing(fields.child(key));
    // Go tells an empty text from none only behind a pointer, and this one has none.
    return !fields.has(key) || (key === "type" && fields.text(key) === "");
  });
}

export function basicAuth(of: Fields, at: Translation): JobMap | undefined {
  const auth = of.optionalChild("basicAuth");
  return (
    auth && {
      username: secretOf(auth.child("username"), at),
      password: secretOf(auth.child("password"), at),
    }
  );
}

/** `authorization`; the credentials may stand in a file where the resource allows it. */
export function authorization(auth: Fields | undefined, at: Translation): JobMap | undefined {
  return (
    auth && {
      type: auth.text("type").trim() || "Bearer",
      credentials: optionalSecret(auth, "credentials", at),
      credentials_file: textOf(auth, "credentialsFile"),
    }
  );
}

/** `authorization` of a monitor's endpoint, which must name credentials. */
export function endpointAuthorization(endpoint: Fields): Fields | undefined {
  const auth = endpoint.optionalChild("authorization");
  if (auth !== undefined && !auth.has("credentials")) throw auth.problem("names no credentials");
  return auth;
}

/** A job's `authorization`: the resource's own, with what it lacks from the scrape class. */
export function jobAuthorization(
  auth: Fields | undefined,
  scrapeClass: ScrapeClass | undefined,
  at: Translation,
): JobMap | undefined {
  const common = scrapeClass?.authorization;
  const own = authorization(auth, at);
  if (own === undefined) return common;
  if (common === undefined || own["credentials"] !== undefined) return own;
  return {
    ...own,
    credentials: common["credentials"],
    ...(common["credentials"] === undefined &&
      own["credentials_file"] === undefined && { credentials_file: common["credentials_file"] }),
  };
}

export function oauth2(of: Fields, at: Translation): JobMap | undefined {
  const auth = of.optionalChild("oauth2");
  if (auth === undefined) return undefined;
  const clientId = secretOrConfigMap(auth.child("clientId"), at);
  if (clientId === undefined) throw auth.problem("names no clientId");
  return {
    client_id: clientId,
    client_secret: secretOf(auth.child("clientSecret"), at),
    token_url: auth.text("tokenUrl"),
    scopes: listOf(auth, "scopes"),
    endpoint_params: auth.textMap("endpointParams"),
    ...proxy(auth, at),
    tls_config: tlsConfig(auth.optionalChild("tlsConfig"), at),
  };
}

export function proxy(of: Fields, at: Translation): JobMap {
  const headers = of.optionalChild("proxyConnectHeader");
  const secrets = Object.create(null) as Record<string, readonly Secret[]>;
  for (const name of headers?.keys() ?? [])
    secrets[name] = headers!.children(name).map((selector) => secretOf(selector, at));
  return {
    proxy_url: textOf(of, "proxyUrl"),
    no_proxy: textOf(of, "noProxy"),
    proxy_from_environment: of.optionalFlag("proxyFromEnvironment"),
    proxy_connect_header: headers && secrets,
  };
}

/** The keys of a discovery section that asks over HTTP. */
export function discoveryClient(of: Fields, at: Translation): JobMap {
  return {
    basic_auth: basicAuth(of, at),
    authorization: authorization(of.optionalChild("authorization"), at),
    oauth2: oauth2(of, at),
    ...proxy(of, at),
    tls_config: tlsConfig(of.optionalChild("tlsConfig"), at),
    follow_redirects: of.optionalFlag("followRedirects"),
    enable_http2: of.optionalFlag("enableHTTP2"),
  };
}

/** The text at `key`, undefined instead of "". */
export function textOf(of: Fields, key: string): string | undefined {
  return of.text(key) || undefined;
}

/** The texts at `key`, undefined instead of none. */
export function listOf(of: Fields, key: string): readonly string[] | undefined {
  const list = of.texts(key);
  return list.length === 0 ? undefined : list;
}
