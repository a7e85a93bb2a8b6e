/**
 * Structured log lines in the two formats Prometheus writes: logfmt (`time=… level=INFO component=… msg="…" key=value`)
 * and JSON. Lines go to stderr in one write each; stdout belongs to a command's result.
 */
export type LogLevel = "debug" | "info" | "warn" | "error";
export type LogFormat = "logfmt" | "json";
export type LogFields = Readonly<Record<string, unknown>>;

export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger that adds `fields` to every line. */
  with(fields: LogFields): Logger;
}

export interface LoggerOptions {
  /** Lines below this level are dropped. Default `info`. */
  readonly level?: LogLevel;
  /** Default `logfmt`. */
  readonly format?: LogFormat;
  /** Where a finished line (with its newline) goes. Default: stderr. */
  readonly write?: (line: string) => void;
  readonly now?: () => number;
}

const RANK: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };

export function createLogger(options: LoggerOptions = {}): Logger {
  const minimum = RANK[options.level ?? "info"];
  const format = options.format ?? "logfmt";
  const write = options.write ?? ((line: string) => void process.stderr.write(line));
  const now = options.now ?? Date.now;
  const make = (bound: LogFields): Logger => {
    const log = (level: LogLevel, message: string, fields: LogFields | undefined): void => {
      if (RANK[level] < minimum) return;
      const time = new Date(now()).toISOString();
      const all: Record<string, unknown> = {
        time,
        level: level.toUpperCase(),
        ...bound,
        msg: message,
        ...fields,
      };
      write(format === "json" ? `${JSON.stringify(all, plain)}\n` : `${logfmt(all)}\n`);
    };
    return {
      debug: (message, fields) => log("debug", message, fields),
      info: (message, fields) => log("info", message, fields),
      warn: (message, fields) => log("warn", message, fields),
      error: (message, fields) => log("error", message, fields),
      with: (fields) => make({ ...bound, ...fields }),
    };
  };
  return make({});
}

export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  with: () => silentLogger,
};

function plain(_key: string, value: unknown): unknown {
  if (value instanceof Error) return value.message;
  return typeof value === "bigint" ? value.toString() : value;
}

function logfmt(fields: Record<string, unknown>): string {
  let line = "";
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    const rendered = plain(key, value);
    const text = typeof rendered === "string" ? rendered : JSON.stringify(rendered, plain);
    line += `${line === "" ? "" : " "}${key}=${/^[^\s"=\\\p{Cc}]+$/u.test(text) ? text : JSON.stringify(text)}`;
  }
  return line;
}
