import { isAbsolute, join } from "node:path";
import { AppError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import { formatDuration, parseDuration } from "../base/units.ts";
import { isValidLabelName } from "../model/labels.ts";
import { isPlain, refine, scalarKind, type Kind } from "./kind.ts";
import { Secret } from "./secret.ts";
import { hidePassword, parseUrl } from "./url.ts";

/** The scalar kinds of prometheus.yml. Durations are ms, sizes bytes. */

export const text: Kind<string> = scalarKind({
  zero: "",
  parse: (written) => written,
  print: (value) => value,
});

export const bool: Kind<boolean> = scalarKind({
  zero: false,
  parse(written, node) {
    if (isPlain(node)) {
      if (TRUE.has(written)) return true;
      if (FALSE.has(written)) return false;
    }
    throw bad(`${quote(written)} is not a boolean`);
  },
  print: (value) => value,
  help: "write true or false, without quotes",
});

// YAML 1.1's words, which Prometheus takes.
const TRUE: ReadonlySet<string> = new Set("y Y yes Yes YES true True TRUE on On ON".split(" "));
const FALSE: ReadonlySet<string> = new Set("n N no No NO false False FALSE off Off OFF".split(" "));

export const int: Kind<number> = wholeNumber(-(2 ** 63), 2 ** 63);
/** A whole number ≥ 0. */
export const count: Kind<number> = wholeNumber(0, 2 ** 64);

function wholeNumber(min: number, max: number): Kind<number> {
  return scalarKind({
    zero: 0,
    parse(written, node) {
      const value = Math.trunc(isPlain(node) ? parseNumber(written) : Number.NaN);
      if (Number.isNaN(value)) throw bad(`${quote(written)} is not a whole number`);
      if (value < min || value > max)
        throw bad(min === 0 && value < 0 ? `${written} is negative` : `${written} is out of range`);
      return value;
    },
    print: (value) => value,
  });
}

export const float: Kind<number> = scalarKind({
  zero: 0,
  parse(written, node) {
    const value = isPlain(node) ? parseNumber(written) : Number.NaN;
    if (Number.isNaN(value) && !/^\.nan$/i.test(written))
      throw bad(`${quote(written)} is not a number`);
    return value;
  },
  print: (value) => value,
});

/** A number as YAML 1.1 writes it: `1_000`, `0x1F`, `0b1`, `017` (octal), `1.5e3`, `.inf`; NaN for anything else. */
export function parseNumber(written: string): number {
  const plain = written.replaceAll("_", "");
  const sign = plain.startsWith("-") ? -1 : 1;
  const digits = plain.replace(/^[-+]/, "");
  if (/^0x[0-9a-f]+$/i.test(digits) || /^0b[01]+$/i.test(digits)) return sign * Number(digits);
  if (/^0o?[0-7]+$/i.test(digits)) return sign * Number.parseInt(digits.replace(/^0o/i, ""), 8);
  if (/^(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?$/.test(digits)) return sign * Number(digits);
  return /^\.(?:inf|Inf|INF)$/.test(digits) ? sign * Infinity : Number.NaN;
}

/** A Prometheus duration, in ms. */
export const duration: Kind<number> = scalarKind({
  zero: 0,
  parse: (written) => parseDuration(written),
  print: (value) => formatDuration(value),
  help: "write a number and a unit, such as 15s, 1m30s or 500ms",
});

/** A size in bytes; it may be negative, which the one field that minds refuses. */
export const size: Kind<number> = scalarKind({
  zero: 0,
  parse: (written) => parseBytes(written),
  print: (value) => formatBytes(value),
  help: "write a number and a unit, such as 512KB, 10MB or 1GB (powers of 1024)",
});

const SIZE_UNITS = ["B", "KB", "MB", "GB", "TB", "PB", "EB"];

function parseBytes(written: string): number {
  if (/^[-+]?0$/.test(written)) return 0;
  const body = written.replace(/^[-+]/, "");
  let total = 0;
  let end = 0;
  for (const match of body.matchAll(/(\d+\.?\d*|\.\d+)([a-zA-Z]*)/gy)) {
    // `KiB` and `KB` mean the same.
    const unit = SIZE_UNITS.indexOf(match[2]!.replace(/^([KMGTPE])iB$/, "$1B"));
    if (unit < 0) throw bad(`units: unknown unit ${match[2]} in ${written}`);
    total += Number(match[1]) * 1024 ** unit;
    end = match.index + match[0].length;
  }
  if (end === 0 || end < body.length) throw bad(`units: invalid ${written}`);
  return written.startsWith("-") ? -Math.trunc(total) : Math.trunc(total);
}

/** `1GiB512MiB`, as Prometheus prints sizes. */
function formatBytes(bytes: number): string {
  if (bytes === 0) return "0B";
  let rest = Math.abs(bytes);
  let printed = bytes < 0 ? "-" : "";
  for (let unit = SIZE_UNITS.length - 1; unit >= 0; unit--) {
    const units = Math.floor(rest / 1024 ** unit);
    if (units > 0) printed += `${units}${unit === 0 ? "B" : `${SIZE_UNITS[unit]![0]}iB`}`;
    rest %= 1024 ** unit;
  }
  return printed;
}

export const secret: Kind<Secret> = scalarKind({
  zero: Secret.NONE,
  parse: (written) => new Secret(written),
  isSecret: true,
  print: (value) => (value.isEmpty ? null : "<secret>"),
  isEmpty: (value) => value.isEmpty,
});

/** A path of a file, made absolute against the folder of the file it is written in. Empty stays empty. */
export const path: Kind<string> = scalarKind({
  zero: "",
  parse: (written, _, reader) => joinFolder(reader.baseFolder, written),
  print: (value) => value,
});

function joinFolder(folder: string, written: string): string {
  return written === "" || isAbsolute(written) ? written : join(folder, written);
}

/** A `path` whose text, before it is made absolute, must pass `check`. */
export function checkedPath(check: (written: string) => string | undefined): Kind<string> {
  return scalarKind({
    zero: "",
    parse(written, _, reader) {
      const problem = check(written);
      if (problem !== undefined) throw bad(problem);
      return joinFolder(reader.baseFolder, written);
    },
    print: (value) => value,
  });
}

/** A URL as Go accepts one (relative ones too); printed with its password hidden. */
export const url: Kind<string> = scalarKind({
  zero: "",
  parse(written) {
    parseUrl(written);
    return written;
  },
  print: hidePassword,
});

/** A URL that Prometheus takes as mere text: checked elsewhere or not at all, but a password in it is not shown. */
export const urlText: Kind<string> = { ...text, print: hidePassword };

export const labelName: Kind<string> = refine(text, (name) =>
  isValidLabelName(name) ? undefined : `${quote(name)} is not a valid label name`,
);

/** One of a closed list of words. */
export function oneOf<T extends string>(
  words: readonly T[],
  message: (written: string) => string,
): Kind<T | ""> {
  return scalarKind<T | "">({
    zero: "",
    parse(written) {
      const word = words.find((candidate) => candidate === written);
      if (word === undefined) throw bad(message(written));
      return word;
    },
    print: (value) => value,
    help: `write one of: ${words.join(", ")}`,
  });
}

export function bad(message: string): AppError {
  return new AppError("bad-data", message);
}
