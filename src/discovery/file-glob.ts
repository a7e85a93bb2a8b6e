import { readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { systemCode } from "../base/errors.ts";
import { compileAnchored } from "../model/regex.ts";

/** The existing files that `pattern` names; `*`, `?` and `[…]` stand for something in its last element only. */
export async function expandGlob(pattern: string): Promise<string[]> {
  const name = basename(pattern);
  if (!/[*?[\\]/.test(name)) return [pattern];
  const folder = dirname(pattern);
  const regex = compileAnchored(globToRegex(name));
  try {
    const names = await readdir(folder);
    return names
      .filter((candidate) => regex.matches(candidate))
      .sort()
      .map((candidate) => join(folder, candidate));
  } catch (error) {
    if (systemCode(error) === "ENOENT") return [];
    throw error;
  }
}

/** Go's filepath.Match as an RE2 pattern. */
function globToRegex(glob: string): string {
  let pattern = "";
  for (let i = 0; i < glob.length; i++) {
    const character = glob[i]!;
    const end = character === "[" ? glob.indexOf("]", i + 2) : -1;
    if (character === "*") pattern += ".*";
    else if (character === "?") pattern += ".";
    else if (end > 0) {
      pattern += glob.slice(i, end + 1);
      i = end;
    } else if (character === "\\" && i + 1 < glob.length) pattern += literal(glob[++i]!);
    else pattern += literal(character);
  }
  return pattern;
}

function literal(character: string): string {
  return /[\\.+*?()|[\]{}^$]/.test(character) ? `\\${character}` : character;
}
