import { given } from "./http-client.ts";
import { optional } from "./kind.ts";
import { need } from "./mechanism-fields.ts";
import { field, object } from "./object.ts";
import type { Where } from "./reader.ts";
import { bool, secret, text } from "./scalars.ts";

/** Request signing by cloud providers: `sigv4`, `azuread`, `google_iam`. */

export const sigv4 = object(
  "sigv4",
  {
    region: field(text),
    access_key: field(text),
    secret_key: field(secret),
    profile: field(text),
    role_arn: field(text),
    external_id: field(text),
    use_fips_sts_endpoint: field(bool),
    service_name: field(text),
  },
  (values, at) => {
    if (given(values.access_key, values.secret_key) === 1)
      at.fail(
        at.has("access_key") ? "access_key" : "secret_key",
        "must provide a AWS SigV4 Access key and Secret Key if credentials are specified in the SigV4 config",
      );
    if (values.external_id !== "" && values.role_arn === "")
      at.fail("external_id", "external_id can only be used with role_arn");
  },
);

const CLOUDS = ["AzurePublic", "AzureGovernment", "AzureChina"];

export const azuread = object(
  "azuread",
  {
    managed_identity: field(optional(object("managed_identity", { client_id: field(text) }))),
    workload_identity: field(
      optional(
        object("workload_identity", {
          client_id: field(text),
          tenant_id: field(text),
          token_file_path: field(text, {
            default: "/var/run/secrets/azure/tokens/azure-identity-token",
          }),
        }),
      ),
    ),
    oauth: field(
      optional(
        object("oauth", {
          client_id: field(text),
          client_secret: field(secret),
          tenant_id: field(text),
        }),
      ),
    ),
    sdk: field(optional(object("sdk", { tenant_id: field(text) }))),
    certificate: field(
      optional(
        object("certificate", {
          client_id: field(text),
          tenant_id: field(text),
          certificate_path: field(text),
          certificate_key_path: field(text),
          certificate_password: field(secret),
          send_certificate_chain: field(bool),
        }),
      ),
    ),
    cloud: field(text, { default: "AzurePublic" }),
    scope: field(text),
  },
  (values, at, reader) => {
    const { managed_identity: managed, workload_identity: workload, oauth, certificate } = values;
    if (values.cloud !== "" && !CLOUDS.includes(values.cloud))
      at.fail("cloud", "must provide a cloud in the Azure AD config", {
        help: `write one of: ${CLOUDS.join(", ")}`,
      });
    const methods = given(managed, workload, oauth, values.sdk, certificate);
    if (methods === 0)
      at.fail(
        undefined,
        "must provide an Azure Managed Identity, Azure Workload Identity, Azure OAuth, Azure Certificate or Azure SDK in the Azure AD config",
      );
    if (methods > 1)
      at.fail(undefined, "cannot provide multiple authentication methods in the Azure AD config");
    if (managed !== undefined && managed.client_id !== "" && !isUuid(managed.client_id))
      reader
        .where(managed)
        .fail("client_id", "the provided Azure Managed Identity client_id is invalid");
    if (workload !== undefined)
      checkAzure(workload, reader.where(workload), {
        name: "Azure Workload Identity",
        keys: ["client_id", "tenant_id"],
        uuids: ["client_id", "tenant_id"],
      });
    if (oauth !== undefined)
      checkAzure(oauth, reader.where(oauth), {
        name: "Azure OAuth",
        keys: ["client_id", "client_secret", "tenant_id"],
        uuids: ["client_id"],
      });
    if (certificate !== undefined)
      checkAzure(certificate, reader.where(certificate), {
        name: "Azure Certificate",
        keys: ["client_id", "tenant_id", "certificate_path"],
        uuids: ["client_id"],
      });
    if (values.scope !== "" && !/^[\w\s:/.-]+$/.test(values.scope))
      at.fail("scope", "the provided scope contains invalid characters");
  },
);

function checkAzure(
  values: Readonly<Record<string, unknown>>,
  at: Where,
  rules: {
    readonly name: string;
    readonly keys: readonly string[];
    readonly uuids: readonly string[];
  },
): void {
  need(
    values,
    at,
    Object.fromEntries(
      rules.keys.map((key) => [key, `must provide an ${rules.name} ${key} in the Azure AD config`]),
    ),
  );
  for (const key of rules.uuids) {
    const value = values[key];
    if (typeof value === "string" && value !== "" && !isUuid(value))
      at.fail(key, `the provided ${rules.name} ${key} is invalid`);
  }
}

function isUuid(written: string): boolean {
  const bare = written.replace(/^urn:uuid:/i, "").replace(/^\{(.*)\}$/, "$1");
  return /^[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}$/i.test(bare);
}

export const googleIam = object("google_iam", { credentials_file: field(text) });
