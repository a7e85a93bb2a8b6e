/** What a value prints as; undefined leaves the key out. */
export type Printed =
  | undefined
  | null
  | string
  | number
  | boolean
  | FlowList
  | readonly Printed[]
  | ReadonlyMap<string, Printed>;

/** A list written on one line. */
export class FlowList {
  readonly items: readonly string[];
  constructor(items: readonly string[]) {
    this.items = items;
  }
}

/** YAML laid out as Prometheus prints its configuration: block style, lists not indented under their key. */
export function writeYaml(value: ReadonlyMap<string, Printed>): string {
  if (value.size === 0) return "{}\n";
  return writeMap(value, "");
}

function writeMap(entries: ReadonlyMap<string, Printed>, indent: string): string {
  let out = "";
  for (const [key, value] of entries) {
    if (value === undefined) continue;
    out += `${indent}${writeScalar(key, indent)}:${writeValue(value, indent)}`;
  }
  return out;
}

/** What follows `key:`, with the line's end. */
function writeValue(value: Exclude<Printed, undefined>, indent: string): string {
  if (value instanceof Map) {
    const body = writeMap(value, `${indent}  `);
    return body === "" ? " {}\n" : `\n${body}`;
  }
  if (isList(value)) return value.length === 0 ? " []\n" : `\n${writeList(value, indent)}`;
  return ` ${writeInline(value, indent)}\n`;
}

function writeList(items: readonly Printed[], indent: string): string {
  let out = "";
  for (const item of items) {
    if (item instanceof Map) {
      const body = writeMap(item, `${indent}  `);
      out += body === "" ? `${indent}- {}\n` : `${indent}- ${body.slice(indent.length + 2)}`;
    } else if (isList(item)) {
      out +=
        item.length === 0
          ? `${indent}- []\n`
          : `${indent}- ${writeList(item, `${indent}  `).slice(indent.length + 2)}`;
    } else out += `${indent}- ${writeInline(item ?? null, indent)}\n`;
  }
  return out;
}

function writeInline(value: Printed, indent: string): string {
  if (value instanceof FlowList)
    return `[${value.items.map((item) => writeScalar(item, indent)).join(", ")}]`;
  if (typeof value === "string") return writeScalar(value, indent);
  if (typeof value === "number") return writeNumber(value);
  return value === true ? "true" : value === false ? "false" : "null";
}

function isList(value: Printed): value is readonly Printed[] {
  return Array.isArray(value);
}

function writeNumber(value: number): string {
  if (Number.isNaN(value)) return ".nan";
  if (!Number.isFinite(value)) return value > 0 ? ".inf" : "-.inf";
  if (Number.isInteger(value) && Math.abs(value) < 1e21) return String(value);
  return String(value).replace(/e([-+])(\d)$/, "e$10$2");
}

/** Texts that YAML 1.1 reads as something other than text, and so need double quotes. */
const NOT_TEXT =
  /^(?:~|null|Null|NULL|y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF|<<|[-+]?(?:0x[\da-fA-F_]+|0b[01_]+|0o?[0-7_]+|[\d_]*\d[\d_]*|\.[\d]+|\d[\d_]*\.\d*|\.inf|\.Inf|\.INF)(?:[eE][-+]?\d+)?|\.nan|\.NaN|\.NAN|[-+]?\d+(?::[0-5]?\d)+(?:\.\d*)?|\d{4}-\d\d?-\d\d?(?:[Tt\s].*)?)$/;

function writeScalar(value: string, indent: string): string {
  if (value === "" || NOT_TEXT.test(value)) return `"${value}"`;
  if (value.includes("\n") && isPrintable(value)) return writeLiteral(value, indent);
  if (!isPrintable(value)) return doubleQuote(value);
  return isPlainSafe(value) ? value : `'${value.replaceAll("'", "''")}'`;
}

function writeLiteral(value: string, indent: string): string {
  const chomp = value.endsWith("\n\n") || value === "\n" ? "+" : value.endsWith("\n") ? "" : "-";
  const hint = /^[ \n]/.test(value) ? "2" : "";
  const body = value.endsWith("\n") ? value.slice(0, -1) : value;
  const lines = body.split("\n").map((line) => (line === "" ? "" : `${indent}  ${line}`));
  return `|${hint}${chomp}\n${lines.join("\n")}`;
}

// oxlint-disable-next-line no-control-regex -- finding control characters is the point
const UNPRINTABLE = /[\0-\x09\x0b-\x1f\x7f-\x84\x86-\x9f\ufeff\ufffe\uffff]/;

function isPrintable(value: string): boolean {
  return value.isWellFormed() && !UNPRINTABLE.test(value);
}

function isPlainSafe(value: string): boolean {
  if (/^[\s]|\s$/.test(value) || /^(?:---|\.\.\.)/.test(value)) return false;
  if (/^[#,[\]{}&*!|>'"%@`]/.test(value)) return false;
  if (/^[-?:](?:\s|$)/.test(value)) return false;
  return !/: |:$| #/.test(value);
}

function doubleQuote(value: string): string {
  let out = "";
  for (const character of value) {
    const code = character.codePointAt(0)!;
    if (character === '"' || character === "\\") out += `\\${character}`;
    else if (ESCAPES[character] !== undefined) out += ESCAPES[character];
    else if (code >= 0xdc80 && code <= 0xdcff)
      out += `\\x${(code - 0xdc00).toString(16).toUpperCase()}`;
    else if (code < 0x20 || (code >= 0x7f && code < 0xa0))
      out += `\\x${code.toString(16).toUpperCase().padStart(2, "0")}`;
    else if (code === 0xfeff || code === 0xfffe || code === 0xffff)
      out += `\\u${code.toString(16).toUpperCase()}`;
    else out += character;
  }
  return `"${out}"`;
}

const ESCAPES: Readonly<Record<string, string | undefined>> = {
  "\0": "\\0",
  "\x07": "\\a",
  "\b": "\\b",
  "\t": "\\t",
  "\n": "\\n",
  "\v": "\\v",
  "\f": "\\f",
  "\r": "\\r",
  "\x1b": "\\e",
};
