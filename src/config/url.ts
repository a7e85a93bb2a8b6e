import { AppError } from "../base/errors.ts";
import { quote } from "../base/text.ts";

/** The parts of a URL that configuration rules look at. */
export interface UrlParts {
  /** In lower case; "" for a URL without one. */
  readonly scheme: string;
  /** With port; "" for a URL without one. */
  readonly host: string;
}

/**
 * Checks `written` as Go's net/url does, which is laxer than WHATWG's (no scheme or host is needed) and differs in what
 * it refuses: what Prometheus accepts must be accepted here.
 */
export function parseUrl(written: string): UrlParts {
  // oxlint-disable-next-line no-control-regex -- finding control characters is the point
  if (/[\0-\x1f\x7f]/.test(written)) throw refuse(written, "invalid control character in URL");
  const match = /^(?:([a-zA-Z][a-zA-Z0-9+.-]*):)?(.*?)(?:\?[^#]*)?(?:#.*)?$/s.exec(written);
  const scheme = (match?.[1] ?? "").toLowerCase();
  const rest = match?.[2] ?? "";
  if (scheme === "" && written.startsWith(":")) throw refuse(written, "missing protocol scheme");
  if (scheme === "" && /^[^/?#]*:/.test(rest))
    throw refuse(written, "first path segment in URL cannot contain colon");
  const fragment = /#(.*)$/s.exec(written)?.[1] ?? "";
  const authority = rest.startsWith("//") ? rest.slice(2).split("/", 1)[0]! : "";
  const at = authority.lastIndexOf("@");
  const user = authority.slice(0, Math.max(at, 0));
  if (!/^[\w\-.:~!$&'()*+,;=%@]*$/.test(user)) throw refuse(written, "net/url: invalid userinfo");
  const path = rest.startsWith("//") ? rest.slice(2 + authority.length) : rest;
  for (const part of [user, path, fragment]) {
    const broken = /%(?![\da-fA-F]{2}).{0,2}/.exec(part);
    if (broken !== null) throw refuse(written, `invalid URL escape ${quote(broken[0])}`);
  }
  const host = authority.slice(at + 1);
  checkHost(host, written);
  return { scheme, host };
}

/** The URL as it may be shown: a password in it is `xxxxx`, as Prometheus writes it. */
export function hidePassword(written: string): string {
  return written.replace(/^([^/?#]*:\/\/[^/?#@:]*:)[^/?#]*@/, "$1xxxxx@");
}

function checkHost(host: string, written: string): void {
  if (host.startsWith("[")) {
    if (!/^\[[^\]]*\](?::\d*)?$/.test(host)) throw refuse(written, "missing ']' in host");
    return;
  }
  const port = /:([^:]*)$/.exec(host)?.[1];
  if (port !== undefined && !/^\d*$/.test(port))
    throw refuse(written, `invalid port ${quote(`:${port}`)} after host`);
  // Only bytes beyond ASCII, and the percent sign itself, may be escaped in a host.
  const escape = /%(?![89a-fA-F][\da-fA-F]|25).{0,2}/.exec(host);
  if (escape !== null) throw refuse(written, `invalid URL escape ${quote(escape[0])}`);
  const foreign = /[ `{}|\\^]/.exec(host);
  if (foreign !== null)
    throw refuse(written, `invalid character ${quote(foreign[0])} in host name`);
}

function refuse(written: string, reason: string): AppError {
  // A password in the URL stays out of the message.
  const shown = written.replace(/:\/\/[^/?#]*@/, "://<secret>@");
  return new AppError("bad-data", `parse ${quote(shown)}: ${reason}`);
}
