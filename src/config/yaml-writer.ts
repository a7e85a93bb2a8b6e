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

/** Past this column, counted in characters, the next space breaks the line. */
const FOLD_COLUMN = 80;

/** YAML laid out as Prometheus prints its configuration: block style, lists not indented under their key. */
export function writeYaml(value: ReadonlyMap<string, Printed>): string {
  return value.size === 0 ? "{}\n" : writeMap(value, "");
}

function writeMap(entries: ReadonlyMap<string, Printed>, indent: string): string {
  let out = "";
  for (const [name, value] of entries) {
    if (value === undefined) continue;
    // Keys are never folded.
    const key = writeScalar(name, { indent, column: Number.NEGATIVE_INFINITY });
    const column = indent.length + Array.from(key).length + 2;
    out += `${indent}${key}:${writeValue(value, { indent, column })}`;
  }
  return out;
}

/** Where a value starts, and the indentation of the map or list it stands in. */
interface Place {
  readonly indent: string;
  readonly column: number;
}

/** What follows `key:`, with the line's end. */
function writeValue(value: Exclude<Printed, undefined>, place: Place): string {
  if (value instanceof Map) {
    const body = writeMap(value, `${place.indent}  `);
    return body === "" ? " {}\n" : `\n${body}`;
  }
  if (isList(value)) return value.length === 0 ? " []\n" : `\n${writeList(value, place.indent)}`;
  return ` ${writeInline(value, place)}\n`;
}

function writeList(items: readonly Printed[], indent: string): string {
  const inner = `${indent}  `;
  let out = "";
  for (const item of items) {
    if (item instanceof Map || isList(item)) {
      // A map or list in a list begins on the dash's line.
      const body = item instanceof Map ? writeMap(item, inner) : writeList(item, inner);
      const empty = item instanceof Map ? "{}\n" : "[]\n";
      out += `${indent}- ${body === "" ? empty : body.slice(inner.length)}`;
    } else out += `${indent}- ${writeInline(item, { indent, column: inner.length })}\n`;
  }
  return out;
}

function writeInline(value: Printed, place: Place): string {
  if (value instanceof FlowList) return writeFlowList(value, place);
  if (typeof value === "string") return writeScalar(value, place);
  if (typeof value === "number") return writeNumber(value);
  return value === true ? "true" : value === false ? "false" : "null";
}

function writeFlowList(list: FlowList, place: Place): string {
  const inner = `${place.indent}  `;
  let out = "[";
  let column = place.column + 1;
  for (const [i, item] of list.items.entries()) {
    if (i > 0) {
      column++;
      const breaks = column > FOLD_COLUMN;
      out += breaks ? `,\n${inner}` : ", ";
      column = breaks ? inner.length : column + 1;
    }
    const written = writeScalar(item, { indent: inner, column: Number.NEGATIVE_INFINITY });
    out += written;
    column += Array.from(written).length;
  }
  return `${out}]`;
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
  /^(?:~|null|Null|NULL|y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF|[-+]?(?:0x[\da-fA-F_]+|0b[01_]+|0o?[0-7_]+|[\d_]*\d[\d_]*|\.[\d]+|\d[\d_]*\.\d*|\.inf|\.Inf|\.INF)(?:[eE][-+]?\d+)?|\.nan|\.NaN|\.NAN|[-+]?\d+(?::[0-5]?\d)+(?:\.\d*)?|\d{4}-\d\d?-\d\d?(?:[Tt\s].*)?)$/;

function writeScalar(value: string, place: Place): string {
  if (value === "" || NOT_TEXT.test(value)) return `"${value}"`;
  if (!isPrintable(value)) return doubleQuote(value, place);
  if (value.includes("\n")) return writeLiteral(value, place.indent);
  if (isPlainSafe(value)) return fold(value, place);
  const quoted = fold(value.replaceAll("'", "''"), { ...place, column: place.column + 1 });
  return `'${quoted}'`;
}

/** Breaks the line at single spaces beyond the fold column; the reader joins the parts with a space again. */
function fold(value: string, place: Place): string {
  if (place.column + value.length <= FOLD_COLUMN) return value;
  let out = "";
  let column = place.column;
  const characters = Array.from(value);
  for (const [i, character] of characters.entries()) {
    const inside = i > 0 && i < characters.length - 1;
    const single = character === " " && characters[i - 1] !== " " && characters[i + 1] !== " ";
    if (inside && single && column > FOLD_COLUMN) {
      out += `\n${place.indent}  `;
      column = place.indent.length + 2;
    } else {
      out += character;
      column++;
    }
  }
  return out;
}

function writeLiteral(value: string, indent: string): string {
  const chomp = value.endsWith("\n\n") || value === "\n" ? "+" : value.endsWith("\n") ? "" : "-";
  const hint = /^[ \n]/.test(value) ? "2" : "";
  const body = value.endsWith("\n") ? value.slice(0, -1) : value;
  const lines = body.split("\n").map((line) => (line === "" ? "" : `${indent}  ${line}`));
  return `|${hint}${chomp}\n${lines.join("\n")}`;
}

// Characters beyond U+FFFF count as unprintable for the YAML library of Prometheus.
// oxlint-disable-next-line no-control-regex -- finding control characters is the point
const UNPRINTABLE = /[\0-\x09\x0b-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]/;

function isPrintable(value: string): boolean {
  return !UNPRINTABLE.test(value);
}

function isPlainSafe(value: string): boolean {
  if (/^[\s]|\s$/.test(value) || /^(?:---|\.\.\.)/.test(value)) return false;
  if (/^[#,[\]{}&*!|>'"%@`]/.test(value)) return false;
  if (/^[-?:](?:\s|$)/.test(value)) return false;
  return !/: |:$| #/.test(value);
}

function doubleQuote(value: string, place: Place): string {
  let out = '"';
  let column = place.column + 1;
  const characters = Array.from(value);
  for (const [i, character] of characters.entries()) {
    const inside = i > 0 && i < characters.length - 1;
    if (inside && character === " " && characters[i - 1] !== " " && column > FOLD_COLUMN) {
      out += `\n${place.indent}  ${characters[i + 1] === " " ? "\\" : ""}`;
      column = place.indent.length + 2;
      continue;
    }
    const written = escapeCharacter(character);
    out += written;
    column += written.length;
  }
  return `${out}"`;
}

function escapeCharacter(character: string): string {
  const code = character.codePointAt(0)!;
  if (character === '"' || character === "\\") return `\\${character}`;
  const short = ESCAPES[character];
  if (short !== undefined) return short;
  const hex = (digits: number, of = code): string =>
    of.toString(16).toUpperCase().padStart(digits, "0");
  // A byte that was not UTF-8, kept as a lone surrogate.
  if (code >= 0xdc80 && code <= 0xdcff) return `\\x${hex(2, code - 0xdc00)}`;
  if (!UNPRINTABLE.test(character)) return character;
  if (code > 0xffff) return `\\U${hex(8)}`;
  return code > 0xff ? `\\u${hex(4)}` : `\\x${hex(2)}`;
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
  "\x85": "\\N",
  "\xa0": "\\_",
};
