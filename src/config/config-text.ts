import { AppError, messageOf, systemCode } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import { ConfigError } from "./config-error.ts";

/** Why a file could not be read. */
export function unreadable(path: string, error: unknown): AppError {
  const reason = systemCode(error) === "ENOENT" ? "it does not exist" : messageOf(error);
  return new AppError("bad-data", `cannot read ${quote(path)}: ${reason}`, { cause: error });
}

/** The file's text without a byte-order mark. Throws ConfigError at the first byte that is not UTF-8. */
export function decodeText(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    const lenient = new TextDecoder("utf-8").decode(bytes);
    const before = lenient.slice(0, lenient.indexOf("\ufffd"));
    const lines = before.split("\n");
    throw new ConfigError([
      {
        file: path,
        line: lines.length,
        column: lines.at(-1)!.length + 1,
        message: "the file is not UTF-8 text",
        help: "save it in the UTF-8 encoding",
      },
    ]);
  }
}
