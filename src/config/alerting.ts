import { checkStaticTargets, discoveryFields } from "./discovery.ts";
import { checkHttpClient, given, httpClientFields } from "./http-client.ts";
import { list, optional, type Kind } from "./kind.ts";
import { field, object, type Values } from "./object.ts";
import type { Reader } from "./reader.ts";
import { checkRelabelRules, relabelRules } from "./relabel.ts";
import type { NameValidation } from "../model/relabel.ts";
import { duration, oneOf, text } from "./scalars.ts";
import { sigv4 } from "./signing.ts";

/** `alerting`: where alerts go. */

const apiVersion: Kind<string> = oneOf(
  ["v2"],
  (written) => `expected Alertmanager api version to be one of [v2] but got ${written}`,
);

const alertmanager = object(
  "an Alertmanager config",
  {
    ...httpClientFields,
    sigv4: field(optional(sigv4)),
    scheme: field(text, { default: "http" }),
    path_prefix: field(text),
    timeout: field(duration, { default: 10_000 }),
    api_version: field(apiVersion, { default: "v2", always: true }),
    relabel_configs: field(relabelRules("empty or null Alertmanager target relabeling rule")),
    alert_relabel_configs: field(relabelRules("empty or null Alertmanager alert relabeling rule")),
    ...discoveryFields,
  },
  (values, at) => {
    if (
      values.sigv4 !== undefined &&
      given(
        values.basic_auth,
        values.authorization,
        values.oauth2,
        values.bearer_token,
        values.bearer_token_file,
      ) > 0
    )
      at.fail(
        "sigv4",
        "at most one of basic_auth, authorization, oauth2, & sigv4 must be configured",
      );
    if (values.relabel_configs.length === 0) checkStaticTargets(values, at);
    return checkHttpClient(values, at);
  },
);

export const alerting = object("alerting", {
  alert_relabel_configs: field(relabelRules("empty or null alert relabeling rule")),
  alertmanagers: field(list(alertmanager, { nullMessage: "empty or null Alertmanager section" })),
});

/** The rules that need the file's name validation. */
export function checkAlerting(
  values: Values<typeof alerting.fields>,
  scheme: NameValidation,
  reader: Reader,
): void {
  checkRelabelRules(values.alert_relabel_configs, scheme, reader);
  for (const one of values.alertmanagers) {
    checkRelabelRules(one.alert_relabel_configs, scheme, reader);
    checkRelabelRules(one.relabel_configs, scheme, reader);
  }
}
