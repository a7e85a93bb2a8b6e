/** `key` as the end of a label name: what may not stand in one becomes `_`. */
export function sanitizeLabelName(key: string): string {
  return key.replaceAll(/[^a-zA-Z0-9_]/gu, "_");
}

/** `host:port`, with brackets around an IPv6 address. */
export function joinHostPort(host: string, port: number): string {
  return host.includes(":") || host.includes("%") ? `[${host}]:${port}` : `${host}:${port}`;
}
