import { messageOf } from "../base/errors.ts";
import { toHttpClient } from "./http-client-config.ts";
import { checkHttpClient, given, httpClientFields } from "./http-client.ts";
import { list } from "./kind.ts";
import { MINUTE_MS, need, refreshField, shownRefreshField, shownText } from "./mechanism-fields.ts";
import { field, map, object, type ObjectKind, type Values } from "./object.ts";
import type { Where } from "./reader.ts";
import { bool, duration, path, secret, text, urlText } from "./scalars.ts";
import type { ConsulDiscovery } from "./types.ts";
import { parseUrl, type UrlParts } from "./url.ts";

/** Service discovery that asks a registry of services. */

const SECOND_MS = 1000;

export const consul = object(
  "a consul_sd config",
  {
    server: field(urlText, { default: "localhost:8500" }),
    path_prefix: field(text),
    token: field(secret),
    datacenter: field(text),
    namespace: field(text),
    partition: field(text),
    tag_separator: field(text, { default: "," }),
    scheme: field(text, { default: "http" }),
    username: field(text),
    password: field(secret),
    allow_stale: field(bool, { default: true, always: true }),
    refresh_interval: field(duration, { default: 30 * SECOND_MS }),
    services: field(list(text)),
    tags: field(list(text)),
    node_meta: field(map(text, text)),
    filter: field(text),
    health_filter: field(text),
    ...httpClientFields,
  },
  (values, at) => {
    if (values.server.trim() === "")
      at.fail("server", "consul SD configuration requires a server address");
    const user = given(values.username, values.password) > 0;
    if (user && values.basic_auth !== undefined)
      at.fail(
        "basic_auth",
        "at most one of consul SD configuration username and password and basic auth can be configured",
      );
    // The user name and password stand for basic_auth, so they exclude what that excludes.
    else if (user && given(values.authorization, values.oauth2) > 0)
      at.fail(
        at.has("username") ? "username" : "password",
        "at most one of basic_auth, oauth2 & authorization must be configured",
      );
    else if (user && given(values.bearer_token, values.bearer_token_file) > 0)
      at.fail(
        at.has("username") ? "username" : "password",
        "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured",
      );
    if (!values.token.isEmpty && given(values.authorization, values.oauth2) > 0)
      at.fail(
        "token",
        "at most one of consul SD token, authorization, or oauth2 can be configured",
      );
    return checkHttpClient(values, at);
  },
);

export function toConsul(values: Values<typeof consul.fields>): ConsulDiscovery {
  const httpClient = toHttpClient(values);
  const isUser = given(values.username, values.password) > 0;
  return {
    kind: "consul",
    server: values.server,
    scheme: values.scheme,
    pathPrefix: values.path_prefix,
    token: values.token,
    datacenter: values.datacenter,
    namespace: values.namespace,
    partition: values.partition,
    tagSeparator: values.tag_separator,
    allowStale: values.allow_stale,
    refreshIntervalMs: values.refresh_interval,
    services: values.services,
    tags: values.tags,
    nodeMeta: values.node_meta,
    filter: values.filter,
    healthFilter: values.health_filter,
    httpClient: isUser
      ? {
          ...httpClient,
          basicAuth: {
            username: values.username,
            usernameFile: "",
            password: values.password,
            passwordFile: "",
          },
        }
      : httpClient,
  };
}

export const eureka = object(
  "a eureka_sd config",
  {
    server: field(urlText),
    ...httpClientFields,
    refresh_interval: field(duration, { default: 30 * SECOND_MS }),
  },
  (values, at) => {
    if (values.server === "") at.fail("server", "eureka_sd: empty or null eureka server");
    else {
      const parts = urlParts(values.server, at);
      if (parts !== undefined && (parts.scheme === "" || parts.host === ""))
        at.fail("server", "eureka_sd: invalid eureka server URL");
    }
    return checkHttpClient(values, at);
  },
);

/** The parts of the URL at `server`, or undefined, reported. */
function urlParts(written: string, at: Where, prefix = ""): UrlParts | undefined {
  try {
    return parseUrl(written);
  } catch (error) {
    at.fail("server", prefix + messageOf(error));
    return undefined;
  }
}

export const kuma = object(
  "a kuma_sd config",
  {
    ...httpClientFields,
    refresh_interval: field(duration, { default: 15 * SECOND_MS }),
    fetch_timeout: field(duration, { default: 2 * MINUTE_MS }),
    server: field(urlText),
    client_id: field(text),
  },
  (values, at) => {
    if (values.server === "") at.fail("server", "kuma SD server must not be empty: ");
    else {
      const parts = urlParts(values.server, at);
      if (parts !== undefined && (parts.scheme === "" || parts.host === ""))
        at.fail("server", `kuma SD server must not be empty and have a scheme: ${values.server}`);
    }
    return checkHttpClient(values, at);
  },
);

export const marathon = object(
  "a marathon_sd config",
  {
    servers: field(list(urlText)),
    refresh_interval: field(duration, { default: 30 * SECOND_MS }),
    auth_token: field(secret),
    auth_token_file: field(path),
    ...httpClientFields,
  },
  (values, at) => {
    if (values.servers.length === 0)
      at.fail("servers", "marathon_sd: must contain at least one Marathon server");
    const tokens = given(values.auth_token, values.auth_token_file);
    const token = at.has("auth_token") ? "auth_token" : "auth_token_file";
    if (tokens > 1)
      at.fail(token, "marathon_sd: at most one of auth_token & auth_token_file must be configured");
    if (tokens > 0 && values.basic_auth !== undefined)
      at.fail(
        token,
        "marathon_sd: at most one of basic_auth, auth_token & auth_token_file must be configured",
      );
    else if (tokens > 0 && given(values.bearer_token, values.bearer_token_file) > 0)
      at.fail(
        token,
        "marathon_sd: at most one of bearer_token, bearer_token_file, auth_token & auth_token_file must be configured",
      );
    else if (tokens > 0 && values.authorization !== undefined)
      at.fail(
        token,
        "marathon_sd: at most one of auth_token, auth_token_file & authorization must be configured",
      );
    return checkHttpClient(values, at);
  },
);

export const nomad = object(
  "a nomad_sd config",
  {
    allow_stale: field(bool, { default: true, always: true }),
    ...httpClientFields,
    namespace: field(text, { default: "default", always: true }),
    refresh_interval: shownRefreshField,
    region: field(text, { default: "global", always: true }),
    server: field(urlText, { default: "http://localhost:4646", always: true }),
    tag_separator: field(text, { default: "," }),
  },
  (values, at) => {
    if (values.server.trim() === "")
      at.fail("server", "nomad SD configuration requires a server address");
    return checkHttpClient(values, at);
  },
);

const zookeeperFields = {
  servers: field(list(text), { always: true }),
  paths: field(list(text), { always: true }),
  timeout: field(duration, { default: 10 * SECOND_MS }),
};

function zookeeper(name: "nerve" | "serverset"): ObjectKind<typeof zookeeperFields> {
  return object(`a ${name}_sd config`, zookeeperFields, (values, at) => {
    need(values, at, {
      servers: `${name} SD config must contain at least one Zookeeper server`,
      paths: `${name} SD config must contain at least one path`,
    });
    for (const [index, one] of values.paths.entries())
      if (!one.startsWith("/"))
        at.fail("paths", `${name} SD config paths must begin with '/': ${one}`, { index });
  });
}

export const nerve = zookeeper("nerve");
export const serverset = zookeeper("serverset");

export const uyuni = object(
  "a uyuni_sd config",
  {
    server: shownText,
    username: shownText,
    password: field(secret, { always: true }),
    ...httpClientFields,
    entitlement: field(text, { default: "monitoring_entitled" }),
    separator: field(text, { default: "," }),
    refresh_interval: refreshField,
  },
  (values, at) => {
    need(values, at, {
      server: "Uyuni SD configuration requires server host",
      username: "Uyuni SD configuration requires a username",
      password: "Uyuni SD configuration requires a password",
    });
    urlParts(values.server, at, "Uyuni Server URL is not valid: ");
    return checkHttpClient(values, at);
  },
);
