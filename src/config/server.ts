import { quote } from "../base/text.ts";
import { tls } from "./http-client.ts";
import { list, optional, type Kind } from "./kind.ts";
import { field, object, type Values } from "./object.ts";
import type { Reader, Where } from "./reader.ts";
import { headers } from "./remote.ts";
import type { NameValidation } from "../model/relabel.ts";
import type { OtlpConfig, StorageConfig } from "./types.ts";
import { bool, duration, float, int, oneOf, size, text, urlText } from "./scalars.ts";

/** Sections about the server itself: `runtime`, `storage`, `tracing` and `otlp`. */

export const DEFAULT_GOGC = 75;

/** Tuning of Go's garbage collector: accepted and shown, without effect here. */
export const runtime = object("runtime", { gogc: field(int) });

const retention = object(
  "retention",
  { time: field(duration), size: field(size), percentage: field(float) },
  (values, at) => {
    if (values.size < 0)
      at.fail("size", "'storage.tsdb.retention.size' must be greater than or equal to 0");
    if (!(values.percentage >= 0 && values.percentage <= 100))
      at.fail(
        "percentage",
        `'storage.tsdb.retention.percentage' must be in the range [0, 100], got ${values.percentage}`,
      );
  },
);

const tsdb = object(
  "tsdb",
  {
    // Prometheus's own field behind the next one: it shows, and so reads, under this name.
    outofordertimewindow: field(int, { always: true }),
    out_of_order_time_window: field(duration),
    stale_series_compaction_threshold: field(float),
    chunk_encoding: field(object("chunk_encoding", { floats: field(text) })),
    retention: field(optional(retention)),
  },
  (values, _, reader) => {
    const { floats } = values.chunk_encoding;
    if (!["", "xor", "xor2"].includes(floats))
      reader
        .where(values.chunk_encoding)
        .fail(
          "floats",
          `'storage.tsdb.chunk_encoding.floats' must be 'xor' or 'xor2', or the field must be omitted entirely, got ${quote(floats)}`,
        );
  },
);

export const storage = object("storage", {
  tsdb: field(optional(tsdb)),
  exemplars: field(optional(object("exemplars", { max_exemplars: field(int) }))),
});

/** How long samples are kept when the file does not say. */
export const DEFAULT_RETENTION_MS = 15 * 86_400_000;

export function fillStorage(values: typeof storage.defaults): typeof storage.defaults {
  const written = values.tsdb ?? tsdb.defaults;
  return {
    ...values,
    tsdb: {
      ...written,
      outofordertimewindow: written.out_of_order_time_window,
      retention: written.retention ?? { ...retention.defaults, time: DEFAULT_RETENTION_MS },
    },
  };
}

export function toStorage(values: typeof storage.defaults): StorageConfig {
  return {
    outOfOrderTimeWindowMs: values.tsdb?.out_of_order_time_window ?? 0,
    maxExemplars: values.exemplars?.max_exemplars,
  };
}

const clientType: Kind<string> = oneOf(
  ["http", "grpc"],
  (written) => `expected tracing client type to be to be http or grpc, but got ${written}`,
);

export const tracing = object(
  "tracing",
  {
    client_type: field(clientType, { default: "grpc" }),
    endpoint: field(urlText),
    sampling_fraction: field(float),
    insecure: field(bool),
    tls_config: field(tls),
    headers: field(headers("custom authorization header configuration is not yet supported")),
    compression: field(text),
    timeout: field(duration),
  },
  (values, at) => {
    if (values.endpoint === "") at.fail("endpoint", "tracing endpoint must be set");
    if (values.compression !== "" && values.compression !== "gzip")
      at.fail(
        "compression",
        `invalid compression type ${values.compression} provided, valid options: gzip`,
      );
  },
);

const TRANSLATIONS = [
  "UnderscoreEscapingWithSuffixes",
  "UnderscoreEscapingWithoutSuffixes",
  "NoUTF8EscapingWithSuffixes",
  "NoTranslation",
] as const;

export const otlp = object(
  "otlp",
  {
    promote_all_resource_attributes: field(bool),
    promote_resource_attributes: field(list(text)),
    ignore_resource_attributes: field(list(text)),
    translation_strategy: field(text, { default: "UnderscoreEscapingWithSuffixes" }),
    keep_identifying_resource_attributes: field(bool),
    convert_histograms_to_nhcb: field(bool),
    promote_scope_metadata: field(bool),
    label_name_underscore_sanitization: field(bool, { default: true }),
    label_name_preserve_multiple_underscores: field(bool, { default: true }),
  },
  (values, at) => {
    if (values.promote_all_resource_attributes) {
      if (values.promote_resource_attributes.length > 0)
        at.fail(
          "promote_resource_attributes",
          "'promote_all_resource_attributes' and 'promote_resource_attributes' cannot be configured simultaneously",
        );
      checkAttributes(values.ignore_resource_attributes, at, {
        key: "ignore_resource_attributes",
        adjective: "ignored",
      });
    } else {
      if (values.ignore_resource_attributes.length > 0)
        at.fail(
          "ignore_resource_attributes",
          "'ignore_resource_attributes' cannot be configured unless 'promote_all_resource_attributes' is true",
        );
      checkAttributes(values.promote_resource_attributes, at, {
        key: "promote_resource_attributes",
        adjective: "promoted",
      });
    }
  },
);

function checkAttributes(
  attributes: readonly string[],
  at: Where,
  options: { readonly key: string; readonly adjective: string },
): void {
  const { key, adjective } = options;
  const seen = new Set<string>();
  for (const [index, written] of attributes.entries()) {
    const attribute = written.trim();
    if (attribute === "")
      at.fail(key, `invalid '${key}': empty ${adjective} OTel resource attribute`, { index });
    else if (seen.has(attribute))
      at.fail(
        key,
        `invalid '${key}': duplicated ${adjective} OTel resource attribute ${quote(attribute)}`,
        { index },
      );
    seen.add(attribute);
  }
}

function isTranslation(strategy: string): boolean {
  return TRANSLATIONS.some((name) => name === strategy);
}

/** The rule between `otlp.translation_strategy` and the file's name validation. */
export function checkTranslation(
  values: Values<typeof otlp.fields>,
  scheme: NameValidation,
  reader: Reader,
): void {
  const strategy = values.translation_strategy;
  if (strategy === "" || strategy.startsWith("UnderscoreEscaping")) {
    if (strategy === "" || isTranslation(strategy)) return;
  } else if (isTranslation(strategy)) {
    if (scheme === "legacy")
      reader
        .where(values)
        .fail(
          "translation_strategy",
          `OTLP translation strategy ${quote(strategy)} is not allowed when UTF8 is disabled`,
        );
    return;
  }
  reader
    .where(values)
    .fail("translation_strategy", `unsupported OTLP translation strategy ${quote(strategy)}`, {
      help: `write one of: ${TRANSLATIONS.join(", ")}`,
    });
}

export function toOtlp(values: Values<typeof otlp.fields>): OtlpConfig {
  const strategy = TRANSLATIONS.find((name) => name === values.translation_strategy);
  return {
    promoteAllResourceAttributes: values.promote_all_resource_attributes,
    promoteResourceAttributes: values.promote_resource_attributes,
    ignoreResourceAttributes: values.ignore_resource_attributes,
    translationStrategy: strategy ?? "UnderscoreEscapingWithSuffixes",
    keepIdentifyingResourceAttributes: values.keep_identifying_resource_attributes,
    convertHistogramsToNhcb: values.convert_histograms_to_nhcb,
    promoteScopeMetadata: values.promote_scope_metadata,
  };
}

/** What holds without an `otlp` section. */
export const DEFAULT_OTLP: OtlpConfig = toOtlp(otlp.defaults);
