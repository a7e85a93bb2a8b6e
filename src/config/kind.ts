import { isScalar, isSeq, Scalar, type Node } from "yaml";
import { messageOf } from "../base/errors.ts";
import { describe, isNull, type Reader } from "./reader.ts";
import type { Printed } from "./yaml-writer.ts";

/**
 * What a value in the file may be: how it is read and how it is shown. The schema of prometheus.yml is tables of
 * these; a null in the file gives `zero`, as in Prometheus, not the field's default.
 */
export interface Kind<T> {
  readonly zero: T;
  /** Errors about such a value do not show its line. */
  readonly isSecret?: boolean;
  /** Reads a node that is neither alias nor null. Reports what is wrong and then returns any value. */
  decode(node: Node, reader: Reader): T;
  print(value: T): Printed;
  /** Whether `value` is left out of the printed file. */
  isEmpty(value: T): boolean;
}

/** Reads `node` as `kind`, through an alias; null is the kind's zero. */
export function decode<T>(kind: Kind<T>, node: Node, reader: Reader): T {
  return reader.resolve(node, (resolved) =>
    isNull(resolved) ? kind.zero : kind.decode(resolved, reader),
  );
}

/** `kind`, or undefined when the key is absent or null. */
export function optional<T>(kind: Kind<T>): Kind<T | undefined> {
  return {
    zero: undefined,
    decode: (node, reader) => kind.decode(node, reader),
    print: (value) => (value === undefined ? undefined : kind.print(value)),
    isEmpty: (value) => value === undefined,
  };
}

/** `kind` with a rule of its own: `check` returns what is wrong with the value, if anything. */
export function refine<T>(
  kind: Kind<T>,
  check: (value: T) => string | undefined,
  help?: string,
): Kind<T> {
  return {
    ...kind,
    decode(node, reader) {
      const before = reader.problems.length;
      const value = kind.decode(node, reader);
      const problem = reader.problems.length > before ? undefined : check(value);
      if (problem !== undefined) reader.report(node, problem, { help });
      return value;
    },
  };
}

/** A kind written as one scalar; `parse` throws an error whose message says what is wrong with the text. */
export function scalarKind<T>(options: {
  readonly zero: T;
  readonly parse: (text: string, node: Scalar, reader: Reader) => T;
  readonly print: (value: T) => Printed;
  readonly isEmpty?: (value: T) => boolean;
  readonly help?: string;
  readonly isSecret?: boolean;
}): Kind<T> {
  const { isSecret = false } = options;
  return {
    zero: options.zero,
    isSecret,
    decode(node, reader) {
      const text = scalarText(node, reader, isSecret);
      if (text === undefined || !isScalar(node)) return options.zero;
      try {
        return options.parse(text, node, reader);
      } catch (error) {
        reader.report(node, messageOf(error), { help: options.help, isSecret });
        return options.zero;
      }
    },
    print: options.print,
    isEmpty: options.isEmpty ?? ((value) => value === options.zero),
  };
}

/** A list of `element`. A null element is reported with `nullMessage` when there is one. */
export function list<T>(
  element: Kind<T>,
  options: { readonly nullMessage?: string } = {},
): Kind<readonly T[]> {
  return {
    zero: [],
    decode(node, reader) {
      if (!isSeq(node)) {
        const { isSecret = false } = element;
        reader.report(node, `expected a list, got ${describe(node)}`, {
          help: LIST_HELP,
          isSecret,
        });
        return [];
      }
      const values: T[] = [];
      for (const item of node.items as Node[]) {
        const before = reader.problems.length;
        const value = reader.resolve(item, (resolved) => {
          if (!isNull(resolved)) return element.decode(resolved, reader);
          if (options.nullMessage !== undefined) reader.report(item, options.nullMessage);
          return element.zero;
        });
        if (reader.problems.length === before) values.push(value);
      }
      return values;
    },
    print: (values) => values.map((value) => element.print(value)),
    isEmpty: (values) => values.length === 0,
  };
}

const LIST_HELP = 'write one "- value" per line, or [value, value]';

/** The text of a scalar exactly as written (quotes and escapes resolved, `!!binary` decoded), or undefined, reported. */
export function scalarText(node: Node, reader: Reader, isSecret = false): string | undefined {
  if (!isScalar(node)) {
    reader.report(node, `expected a single value, got ${describe(node)}`, { isSecret });
    return undefined;
  }
  const text = String(node.value);
  if (node.tag !== "tag:yaml.org,2002:binary") return text;
  const packed = text.replaceAll(/\s/g, "");
  if (
    !/^(?:[\w+/-]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(packed) ||
    /[_-]/.test(packed)
  ) {
    reader.report(node, "!!binary value contains invalid base64 data", { isSecret });
    return undefined;
  }
  return decodeUtf8(Buffer.from(packed, "base64"));
}

/** Bytes that are not UTF-8 become lone surrogates, so that the text is recognisably not well-formed. */
function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return Array.from(bytes, (byte) =>
      byte < 0x80 ? String.fromCharCode(byte) : String.fromCharCode(0xdc00 + byte),
    ).join("");
  }
}

/** Whether a scalar may be a number or boolean: unquoted, and not tagged as a string. */
export function isPlain(node: Scalar): boolean {
  if (node.tag !== undefined) return node.tag !== "tag:yaml.org,2002:str";
  return node.type === Scalar.PLAIN;
}
