import { readFile } from "node:fs/promises";
import { systemCode } from "../base/errors.ts";

/** What of resolv.conf(5) decides which names are tried for a short one; the servers are the resolver's own affair. */
export interface SearchRules {
  readonly domains: readonly string[];
  /** A name with at least this many dots is tried as it is before the domains. */
  readonly ndots: number;
}

export async function readSearchRules(path = "/etc/resolv.conf"): Promise<SearchRules> {
  try {
    return parseSearchRules(await readFile(path, "utf8"));
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return { domains: [], ndots: 1 };
  }
}

export function parseSearchRules(text: string): SearchRules {
  let domains: readonly string[] = [];
  let ndots = 1;
  for (const line of text.split("\n")) {
    const [keyword, ...words] = line
      .replace(/[#;].*$/, "")
      .trim()
      .split(/\s+/);
    // The last of `domain` and `search` counts.
    if (keyword === "domain") domains = words.slice(0, 1);
    else if (keyword === "search") domains = words;
    else if (keyword === "options")
      for (const word of words) {
        const dots = /^ndots:(\d+)$/.exec(word);
        if (dots !== null) ndots = Math.min(Number(dots[1]), 15);
      }
  }
  return { domains, ndots };
}

/** The names to ask for in turn. One that ends in a dot is complete. */
export function candidateNames(name: string, rules: SearchRules): string[] {
  if (name.endsWith(".")) return [name.slice(0, -1)];
  const dots = name.split(".").length - 1;
  const searched = rules.domains.map((domain) => `${name}.${domain.replace(/\.$/, "")}`);
  return dots >= rules.ndots ? [name, ...searched] : [...searched, name];
}
