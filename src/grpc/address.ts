import { AppError } from "../base/errors.ts";

/** `host:port`, with IPv6 hosts in brackets. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Throws `bad-data` when `text` is not `host:port`. */
export function parseAddress(text: string): Address {
  const match = /^(?:\[([0-9a-fA-F:.%]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text);
  const port = match === null ? 0 : Number(match[3]);
  if (match === null || port < 1 || port > 65_535)
    throw new AppError("bad-data", `cannot use address ${JSON.stringify(text)}: write host:port`);
  return { host: match[1] ?? match[2]!, port };
}
