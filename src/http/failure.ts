import { AppError, isAbort, messageOf, systemCode } from "../base/errors.ts";

/**
 * Failures of HTTP requests in the words Prometheus's users know (`Get "http://…": dial tcp …: connect: connection
 * refused`, `context deadline exceeded`): they appear as a target's last error and people search for them.
 */
export function requestFailure(
  request: { readonly method: string; readonly url: URL },
  thrown: unknown,
): AppError {
  const verb = request.method[0]! + request.method.slice(1).toLowerCase();
  const prefix = `${verb} "${redactUrl(request.url)}": `;
  if (thrown instanceof AppError)
    return new AppError(thrown.code, prefix + thrown.message, { cause: thrown });
  // undici calls its own aborts by the same name as the caller's.
  if (isAbort(thrown) && systemCode(thrown) !== "UND_ERR_ABORTED")
    return new AppError("canceled", `${prefix}context canceled`, { cause: thrown });
  return new AppError("unavailable", prefix + describe(thrown, request.url), { cause: thrown });
}

/** The whole request, body included, took longer than its `timeoutMs`. */
export function deadlineExceeded(): AppError {
  return new AppError("timeout", "context deadline exceeded");
}

/** The URL as text with a password, if it has one, replaced by `xxxxx`. */
export function redactUrl(url: URL): string {
  if (url.password === "") return url.href;
  const copy = new URL(url);
  copy.password = "xxxxx";
  return copy.href;
}

/** A connection that was closed under the request before any answer: the peer ended an idle keep-alive connection. */
export function isConnectionLoss(thrown: unknown): boolean {
  const code = systemCode(thrown);
  return (
    code === "ECONNLOST" || code === "UND_ERR_SOCKET" || code === "ECONNRESET" || code === "EPIPE"
  );
}

const UNKNOWN_AUTHORITY = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
]);

function describe(thrown: unknown, url: URL): string {
  const first = thrown instanceof AggregateError ? thrown.errors[0] : thrown;
  const code = systemCode(thrown) ?? systemCode(first);
  const address = property(first, "address") ?? url.hostname;
  const port = property(first, "port") ?? (url.port || (url.protocol === "https:" ? "443" : "80"));
  const peer = address.includes(":") && !address.startsWith("[") ? `[${address}]` : address;
  const dial = `dial tcp ${peer}:${port}: `;
  switch (code) {
    case "ECONNREFUSED":
      return `${dial}connect: connection refused`;
    case "EHOSTUNREACH":
      return `${dial}connect: no route to host`;
    case "ENETUNREACH":
      return `${dial}connect: network is unreachable`;
    case "ETIMEDOUT":
    case "UND_ERR_CONNECT_TIMEOUT":
      return `${dial}i/o timeout`;
    case "ENOTFOUND":
      return `dial tcp: lookup ${url.hostname}: no such host`;
    case "EAI_AGAIN":
      return `dial tcp: lookup ${url.hostname}: server misbehaving`;
    case "ECONNRESET":
      return "read: connection reset by peer";
    case "EPIPE":
      return "write: broken pipe";
    case "ECONNLOST":
    case "UND_ERR_SOCKET":
      return "EOF";
    case "UND_ERR_ABORTED":
      return messageOf(first).replace(
        /^Proxy response \((\d+)\).*/,
        "proxy refused CONNECT with HTTP status $1",
      );
    case "CERT_HAS_EXPIRED":
    case "CERT_NOT_YET_VALID":
      return "tls: failed to verify certificate: x509: certificate has expired or is not yet valid";
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return `tls: failed to verify certificate: x509: ${property(first, "reason") ?? messageOf(first)}`;
    case "ERR_SSL_WRONG_VERSION_NUMBER":
      return "tls: first record does not look like a TLS handshake";
    case "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION":
    case "ERR_SSL_UNSUPPORTED_PROTOCOL":
      return "remote error: tls: protocol version not supported";
    case undefined:
      return messageOf(thrown);
    default:
      return UNKNOWN_AUTHORITY.has(code)
        ? "tls: failed to verify certificate: x509: certificate signed by unknown authority"
        : messageOf(first);
  }
}

function property(value: unknown, name: string): string | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const found: unknown = Reflect.get(value, name);
  return typeof found === "string" || typeof found === "number" ? String(found) : undefined;
}
