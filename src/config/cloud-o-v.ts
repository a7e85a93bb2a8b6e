import { messageOf } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import { formatDuration } from "../base/units.ts";
import { checkHttpClient, given, httpClientFields, tls } from "./http-client.ts";
import { list } from "./kind.ts";
import {
  need,
  portField,
  refreshField,
  role,
  shownRefreshField,
  shownText,
} from "./mechanism-fields.ts";
import { field, object } from "./object.ts";
import type { Where } from "./reader.ts";
import { bool, int, path, secret, text, urlText } from "./scalars.ts";
import type { Secret } from "./secret.ts";
import { parseUrl } from "./url.ts";

/** Service discovery of cloud providers, O to V. Each schema is Prometheus's; nothing here asks a cloud. */

export const oci = object(
  "an oci_sd config",
  {
    auth: field(text, { default: "api_key" }),
    tenancy: field(text),
    user: field(text),
    fingerprint: field(text),
    key_file: field(path),
    key_passphrase: field(secret),
    key_passphrase_file: field(path),
    region: shownText,
    compartments: field(list(text)),
    ...httpClientFields,
    port: portField,
    refresh_interval: shownRefreshField,
  },
  (values, at) => {
    need(values, at, { region: "oci_sd: region is required" });
    if (values.auth === "api_key") {
      need(values, at, {
        tenancy: "oci_sd: api_key auth requires tenancy",
        user: "oci_sd: api_key auth requires user",
        fingerprint: "oci_sd: api_key auth requires fingerprint",
        key_file: "oci_sd: api_key auth requires key_file",
      });
      if (given(values.key_passphrase, values.key_passphrase_file) > 1)
        at.fail(
          "key_passphrase",
          "oci_sd: at most one of key_passphrase and key_passphrase_file must be configured",
        );
    } else if (values.auth === "instance_principal") {
      const { tenancy, user, fingerprint, key_file: file } = values;
      if (
        given(tenancy, user, fingerprint, file, values.key_passphrase, values.key_passphrase_file)
      )
        at.fail(
          "auth",
          "oci_sd: instance_principal auth must not have tenancy, user, fingerprint, key_file, key_passphrase, or key_passphrase_file set",
        );
    } else
      at.fail(
        "auth",
        `oci_sd: unknown auth method ${quote(values.auth)}, expected "api_key" or "instance_principal"`,
      );
    const empty = values.compartments.indexOf("");
    if (empty >= 0)
      at.fail("compartments", `oci_sd: compartments[${empty}] must not be empty`, { index: empty });
    if (values.refresh_interval <= 0)
      at.fail(
        "refresh_interval",
        `oci_sd: refresh_interval must be positive, got ${formatDuration(values.refresh_interval)}`,
      );
    return checkHttpClient(values, at);
  },
);

const OPENSTACK_ROLES = ["hypervisor", "instance", "loadbalancer"] as const;

export const openstack = object(
  "an openstack_sd config",
  {
    identity_endpoint: shownText,
    username: shownText,
    userid: shownText,
    password: field(secret, { always: true }),
    project_name: shownText,
    project_id: shownText,
    domain_name: shownText,
    domain_id: shownText,
    application_credential_name: shownText,
    application_credential_id: shownText,
    application_credential_secret: field(secret, { always: true }),
    role: field(role(OPENSTACK_ROLES, "unknown OpenStack SD role"), { always: true }),
    region: shownText,
    refresh_interval: shownRefreshField,
    port: portField,
    all_tenants: field(bool),
    tls_config: field(tls),
    availability: field(text, { default: "public" }),
  },
  (values, at) => {
    if (!["public", "internal", "admin"].includes(values.availability))
      at.fail(
        "availability",
        `unknown availability ${values.availability}, must be one of admin, internal or public`,
      );
    need(values, at, {
      role: "role missing (one of: instance, hypervisor, loadbalancer)",
      region: "openstack SD configuration requires a region",
    });
  },
);

function checkSecretKey(
  values: { readonly secret_key: Secret; readonly secret_key_file: string },
  at: Where,
): void {
  const keys = given(values.secret_key, values.secret_key_file);
  if (keys === 0) at.fail(undefined, "one of secret_key & secret_key_file must be configured");
  if (keys > 1)
    at.fail("secret_key", "at most one of secret_key & secret_key_file must be configured");
}

export const outscale = object(
  "an outscale_sd config",
  {
    endpoint: field(urlText),
    region: field(text, { default: "eu-west-2", always: true }),
    access_key: shownText,
    secret_key: field(secret, { always: true }),
    secret_key_file: field(path, { always: true }),
    refresh_interval: refreshField,
    port: portField,
    ...httpClientFields,
  },
  (values, at) => {
    need(values, at, {
      region: "outscale SD configuration requires a region",
      access_key: "outscale SD configuration requires access_key",
    });
    checkSecretKey(values, at);
    return checkHttpClient(values, at);
  },
);

export const ovhcloud = object(
  "an ovhcloud_sd config",
  {
    endpoint: field(text, { default: "ovh-eu", always: true }),
    application_key: shownText,
    application_secret: field(secret, { always: true }),
    consumer_key: field(secret, { always: true }),
    refresh_interval: shownRefreshField,
    service: shownText,
  },
  (values, at) => {
    need(values, at, {
      endpoint: "endpoint can not be empty",
      application_key: "application key can not be empty",
      application_secret: "application secret can not be empty",
      consumer_key: "consumer key can not be empty",
    });
    if (values.service !== "dedicated_server" && values.service !== "vps")
      at.fail("service", `unknown service: ${values.service}`, {
        help: "write one of: dedicated_server, vps",
      });
  },
);

const SCALEWAY_ROLES = ["instance", "baremetal"] as const;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export const scaleway = object(
  "a scaleway_sd config",
  {
    project_id: shownText,
    api_url: field(urlText, { default: "https://api.scaleway.com" }),
    zone: field(text, { default: "fr-par-1", always: true }),
    access_key: shownText,
    secret_key: field(secret, { always: true }),
    secret_key_file: field(path, { always: true }),
    name_filter: field(text),
    tags_filter: field(list(text)),
    ...httpClientFields,
    refresh_interval: shownRefreshField,
    port: portField,
    role: field(role(SCALEWAY_ROLES, "unknown role"), { always: true }),
  },
  (values, at) => {
    need(values, at, {
      role: "role missing (one of: instance, baremetal)",
      project_id: "project_id is mandatory",
      access_key: "access_key is mandatory",
    });
    checkSecretKey(values, at);
    checkScalewayFormats(values, at);
    return checkHttpClient(values, at);
  },
);

/** The formats that Scaleway's own library insists on when the configuration is read. */
function checkScalewayFormats(
  values: {
    readonly project_id: string;
    readonly access_key: string;
    readonly secret_key: Secret;
    readonly zone: string;
    readonly api_url: string;
  },
  at: Where,
): void {
  if (values.access_key !== "" && !/^SCW[A-Z0-9]{17}$/i.test(values.access_key))
    at.fail(
      "access_key",
      `invalid access key format ${quote(values.access_key)}, expected SCWXXXXXXXXXXXXXXXXX format`,
    );
  if (!values.secret_key.isEmpty && !UUID.test(values.secret_key.reveal()))
    at.fail("secret_key", "invalid secret key format, expected a UUID");
  if (values.project_id !== "" && !UUID.test(values.project_id))
    at.fail("project_id", `default project ID ${quote(values.project_id)} must be a UUID`);
  if (!/^[a-z]{2}-[a-z]{3}-[1-9]$/.test(values.zone))
    at.fail("zone", `default zone ${quote(values.zone)} is not a zone such as fr-par-1`);
  if (!isAbsoluteUrl(values.api_url)) at.fail("api_url", `invalid url ${quote(values.api_url)}`);
}

function isAbsoluteUrl(written: string): boolean {
  try {
    const { scheme, host } = parseUrl(written);
    return scheme !== "" && host !== "";
  } catch {
    return false;
  }
}

export const stackit = object(
  "a stackit_sd config",
  {
    ...httpClientFields,
    project: shownText,
    refresh_interval: refreshField,
    port: field(int, { default: 80 }),
    region: field(text, { default: "eu01" }),
    endpoint: field(urlText),
    service_account_key: field(secret),
    private_key: field(secret),
    service_account_key_path: field(text),
    private_key_path: field(text),
    credentials_file_path: field(text),
  },
  (values, at) => {
    if (values.endpoint === "" && values.region === "")
      at.fail("region", "stackit_sd: endpoint and region missing");
    try {
      parseUrl(values.endpoint);
    } catch (error) {
      at.fail(
        "endpoint",
        `stackit_sd: invalid endpoint ${quote(values.endpoint)}: ${messageOf(error)}`,
      );
    }
    return checkHttpClient(values, at);
  },
);

export const triton = object(
  "a triton_sd config",
  {
    account: shownText,
    role: field(text, { default: "container", always: true }),
    dns_suffix: shownText,
    endpoint: shownText,
    groups: field(list(text)),
    port: field(int, { default: 9163, always: true }),
    refresh_interval: refreshField,
    tls_config: field(tls),
    version: field(int, { default: 1, always: true }),
  },
  (values, at) => {
    if (values.role !== "container" && values.role !== "cn")
      at.fail("role", "triton SD configuration requires role to be 'container' or 'cn'");
    need(values, at, {
      account: "triton SD configuration requires an account",
      dns_suffix: "triton SD configuration requires a dns_suffix",
      endpoint: "triton SD configuration requires an endpoint",
    });
    if (values.refresh_interval <= 0)
      at.fail(
        "refresh_interval",
        "triton SD configuration requires RefreshInterval to be a positive integer",
      );
  },
);

export const vultr = object(
  "a vultr_sd config",
  { ...httpClientFields, refresh_interval: shownRefreshField, port: portField },
  checkHttpClient,
);
