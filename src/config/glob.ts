import { existsSync, readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { AppError } from "../base/errors.ts";
import { compareText, quote } from "../base/text.ts";
import { compileAnchored, type AnchoredRegex } from "../model/regex.ts";

/**
 * The files that a pattern stands for, sorted: `*`, `?` and `[…]` in its last element mean something; a plain path stands
 * for itself if it exists. What cannot be read is not there. Throws `bad-data` for a malformed pattern.
 */
export function expandFiles(pattern: string): string[] {
  // No file has such a name, and the file system's functions throw at it.
  if (pattern.includes("\0")) return [];
  const name = basename(pattern);
  if (!/[*?[\\]/.test(name)) return existsSync(pattern) ? [pattern] : [];
  const regex = globRegex(name, pattern);
  const folder = dirname(pattern);
  return namesIn(folder)
    .filter((candidate) => regex.matches(candidate))
    .sort(compareText)
    .map((candidate) => join(folder, candidate));
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function globRegex(glob: string, pattern: string): AnchoredRegex {
  let regex = "";
  for (const part of glob.matchAll(/\*|\?|\[\^?(?:\\.|[^\]\\])+\]|\\(.)|([^*?[\\])|./gsu)) {
    const [whole, escaped, plain] = part;
    if (whole === "*") regex += ".*";
    else if (whole === "?") regex += ".";
    else if (escaped !== undefined || plain !== undefined)
      regex += (escaped ?? plain!).replace(/[\\.+*?()|[\]{}^$]/, "\\$&");
    else if (whole.length > 2) regex += whole;
    else throw malformed(pattern);
  }
  try {
    return compileAnchored(regex);
  } catch {
    throw malformed(pattern);
  }
}

function malformed(pattern: string): AppError {
  return new AppError("bad-data", `syntax error in pattern ${quote(pattern)}`);
}
