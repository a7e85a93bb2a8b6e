import { AppError } from "../base/errors.ts";
import type { TextFormat } from "./entry-parser.ts";

/** Names of the exposition formats as `scrape_protocols` has them. */
export type ExpositionProtocol =
  | "PrometheusProto"
  | "OpenMetricsText0.0.1"
  | "OpenMetricsText1.0.0"
  | "PrometheusText0.0.4"
  | "PrometheusText1.0.0";

/** Protobuf is rewritten as text before it is parsed. */
export type ExpositionFormat = TextFormat | "protobuf";

export type EscapingScheme = "allow-utf-8" | "underscores" | "dots" | "values";

const MEDIA_TYPES: Record<ExpositionProtocol, string> = {
  PrometheusProto:
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
  "OpenMetricsText0.0.1": "application/openmetrics-text;version=0.0.1",
  "OpenMetricsText1.0.0": "application/openmetrics-text;version=1.0.0",
  "PrometheusText0.0.4": "text/plain;version=0.0.4",
  "PrometheusText1.0.0": "text/plain;version=1.0.0",
};

/**
 * The Accept header of a scrape: the protocols in order of preference with falling weights, byte for byte as
 * Prometheus sends it.
 */
export function acceptHeader(
  protocols: readonly ExpositionProtocol[],
  escaping: EscapingScheme,
): string {
  const parts: string[] = [];
  let weight = Object.keys(MEDIA_TYPES).length + 1;
  for (const protocol of protocols) {
    const scheme =
      protocol === "PrometheusText1.0.0" || protocol === "OpenMetricsText1.0.0"
        ? `;escaping=${escaping}`
        : "";
    parts.push(`${MEDIA_TYPES[protocol]}${scheme};q=0.${weight--}`);
  }
  parts.push(`*/*;q=0.${weight}`);
  return parts.join(",");
}

/**
 * The parser for a response with this Content-Type, or for `fallback` when the header is absent or unknown. Throws
 * `bad-data` in Prometheus's words when there is none.
 */
export function selectParser(
  contentType: string | undefined,
  fallback: ExpositionProtocol | "",
): ExpositionFormat {
  const shown = JSON.stringify(contentType ?? "");
  if (contentType === undefined || contentType === "") {
    if (fallback === "")
      throw new AppError(
        "bad-data",
        "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target",
      );
    return formatOf(mediaType(MEDIA_TYPES[fallback])!)!;
  }
  const media = mediaType(contentType);
  if (media === undefined && fallback === "")
    throw new AppError(
      "bad-data",
      `cannot parse Content-Type ${shown} and no fallback_scrape_protocol for target`,
    );
  const format = media === undefined ? undefined : formatOf(media);
  if (format !== undefined) return format;
  if (fallback === "")
    throw new AppError(
      "bad-data",
      `received unsupported Content-Type ${shown} and no fallback_scrape_protocol specified for target`,
    );
  return formatOf(mediaType(MEDIA_TYPES[fallback])!)!;
}

function formatOf(media: string): ExpositionFormat | undefined {
  switch (media) {
    case "text/plain":
      return "text";
    case "application/openmetrics-text":
      return "openmetrics";
    case "application/vnd.google.protobuf":
      return "protobuf";
    default:
      return undefined;
  }
}

const TYPE = /^[!#$%&'*+.^_`|~0-9a-z-]+(?:\/[!#$%&'*+.^_`|~0-9a-z-]+)?$/;
const PARAMETER_NAME = /^[!#$%&'*+.^_`|~0-9a-zA-Z-]+$/;
const PARAMETER_VALUE = /^(?:[!#$%&'*+.^_`|~0-9a-zA-Z-]+|"(?:[^"\\]|\\.)*")$/;

/** The type without its parameters, in lower case; undefined when the text is no media type. */
function mediaType(text: string): string | undefined {
  const [type = "", ...parameters] = splitParameters(text);
  const name = type.trim().toLowerCase();
  if (!TYPE.test(name)) return undefined;
  for (const [i, parameter] of parameters.entries()) {
    const at = parameter.indexOf("=");
    // Go lets one semicolon stand at the end.
    if (at < 0 && parameter.trim() === "" && i === parameters.length - 1) continue;
    if (
      at < 0 ||
      !PARAMETER_NAME.test(parameter.slice(0, at).trim()) ||
      !PARAMETER_VALUE.test(parameter.slice(at + 1).trim())
    )
      return undefined;
  }
  return name;
}

/** Splits at semicolons outside of quotes. */
function splitParameters(text: string): string[] {
  const parts: string[] = [];
  let start = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '"') quoted = !quoted;
    else if (text[i] === "\\" && quoted) i++;
    else if (text[i] === ";" && !quoted) {
      parts.push(text.slice(start, i));
      start = i + 1;
    }
  }
  parts.push(text.slice(start));
  return parts;
}
