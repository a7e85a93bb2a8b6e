import { messageOf } from "../base/errors.ts";
import { checkHttpClient, checkHttpUrl, httpClientFields } from "./http-client.ts";
import {
  filters,
  need,
  portField,
  refreshField,
  shownRefreshField,
  shownText,
} from "./mechanism-fields.ts";
import { field, object } from "./object.ts";
import type { Where } from "./reader.ts";
import { bool, text } from "./scalars.ts";
import { parseUrl } from "./url.ts";

/** Service discovery that asks a container host or an inventory of hosts. */

export const docker = object(
  "a docker_sd config",
  {
    ...httpClientFields,
    host: shownText,
    port: portField,
    filters: field(filters, { always: true }),
    host_networking_host: field(text, { default: "localhost", always: true }),
    refresh_interval: shownRefreshField,
    match_first_network: field(bool, { default: true, always: true }),
  },
  (values, at) => {
    checkHost(values.host, at);
    return checkHttpClient(values, at);
  },
);

export const dockerswarm = object(
  "a dockerswarm_sd config",
  {
    ...httpClientFields,
    host: shownText,
    role: shownText,
    port: portField,
    filters: field(filters, { always: true }),
    refresh_interval: shownRefreshField,
  },
  (values, at) => {
    checkHost(values.host, at);
    if (values.role === "") at.fail("role", "role missing (one of: tasks, services, nodes)");
    else if (!["services", "nodes", "tasks"].includes(values.role))
      at.fail("role", `invalid role ${values.role}, expected tasks, services, or nodes`);
    return checkHttpClient(values, at);
  },
);

function checkHost(host: string, at: Where): void {
  if (host === "") return at.fail("host", "host missing");
  try {
    parseUrl(host);
  } catch (error) {
    at.fail("host", messageOf(error));
  }
}

export const puppetdb = object(
  "a puppetdb_sd config",
  {
    ...httpClientFields,
    refresh_interval: refreshField,
    url: shownText,
    query: shownText,
    include_parameters: field(bool, { always: true }),
    port: portField,
  },
  (values, at) => {
    checkHttpUrl(values.url, at);
    need(values, at, { query: "query missing" });
    return checkHttpClient(values, at);
  },
);
