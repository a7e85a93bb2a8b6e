import { AppError } from "../base/errors.ts";
import { BYTE_COLUMNS, NUMBER_COLUMNS, type StatusList, StatusTable } from "./status-table.ts";

/**
 * A status table as bytes: what a coordinator reads of every target in every cycle, without text to parse. Hashes are
 * sent when the reader does not have the list they belong to. Format: docs/format/status-columns.md.
 */
const MAGIC = 0x31534853;
const PREFIX_SIZE = 8;

interface Header {
  readonly list: string;
  readonly count: number;
  /** Left out when the reader has the list. */
  readonly hashes?: readonly string[];
  /** By place, as a decimal key. */
  readonly errors: Readonly<Record<string, string>>;
}

/** `knownRevision` is that of the list which the reader has. */
export function encodeStatusTable(table: StatusTable, knownRevision: string): Buffer {
  const { list, numbers, bytes, size } = table;
  const header: Header = {
    list: list.revision,
    count: size,
    ...(list.revision !== knownRevision && { hashes: list.hashes }),
    errors: Object.fromEntries(table.errors),
  };
  const text = Buffer.from(JSON.stringify(header));
  const headerSize = Math.ceil(text.length / 8) * 8;
  const body = Buffer.alloc(PREFIX_SIZE + headerSize + numbers.byteLength + bytes.byteLength, " ");
  body.writeUInt32LE(MAGIC, 0);
  body.writeUInt32LE(headerSize, 4);
  text.copy(body, PREFIX_SIZE);
  body.set(bytesOf(numbers), PREFIX_SIZE + headerSize);
  body.set(bytes, PREFIX_SIZE + headerSize + numbers.byteLength);
  return body;
}

/**
 * The table in `body`, with the list of `known` where that is the shard's. Throws `corrupt` when it is not one. A figure
 * that is no number of at least 0 counts as 0, so that no sum over targets is ruined by one of them.
 */
export function decodeStatusTable(body: Buffer, known: StatusList): StatusTable {
  const headerSize = body.length < PREFIX_SIZE ? 0 : body.readUInt32LE(4);
  const columnsAt = PREFIX_SIZE + headerSize;
  if (body.length < columnsAt || body.readUInt32LE(0) !== MAGIC)
    throw corrupt("they do not begin as such");
  const header = parseHeader(body.toString("utf8", PREFIX_SIZE, columnsAt));
  const { count, hashes } = header;
  const list = hashes === undefined ? known : { revision: header.list, hashes };
  if (list.revision !== header.list || list.hashes.length !== count)
    throw corrupt("they are of another list");
  const bytesAt = columnsAt + count * NUMBER_COLUMNS * 8;
  const size = bytesAt + count * BYTE_COLUMNS;
  if (body.length !== size) throw corrupt(`${body.length} bytes, and ${size} are needed`);
  // Where numbers may stand, they stay; the table keeps the body then.
  const aligned = (body.byteOffset + columnsAt) % 8 === 0 ? body : copyOf(body);
  const numbers = new Float64Array(
    aligned.buffer,
    aligned.byteOffset + columnsAt,
    count * NUMBER_COLUMNS,
  );
  const table = new StatusTable(list, { numbers, bytes: aligned.subarray(bytesAt) });
  for (let i = 0; i < numbers.length; i++)
    if (!(numbers[i]! >= 0 && numbers[i]! < Infinity)) numbers[i] = 0;
  for (const [place, text] of Object.entries(header.errors)) table.errors.set(Number(place), text);
  return table;
}

function parseHeader(text: string): Header {
  let header: Partial<Header>;
  try {
    header = JSON.parse(text) as Partial<Header>;
  } catch (error) {
    throw corrupt("their header is not JSON", error);
  }
  const { list, count, hashes, errors } = header;
  const isTexts = (values: readonly unknown[]): boolean =>
    values.every((value) => typeof value === "string");
  if (typeof list !== "string" || typeof count !== "number" || typeof errors !== "object")
    throw corrupt("their header lacks something");
  if (!isTexts(Object.values(errors)) || !(hashes === undefined || isTexts(hashes)))
    throw corrupt("their header is not made of texts");
  return { list, count, errors, ...(hashes !== undefined && { hashes }) };
}

function copyOf(body: Buffer): Buffer {
  return Buffer.from(new Uint8Array(body).buffer);
}

function bytesOf(numbers: Float64Array): Uint8Array {
  return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
}

function corrupt(what: string, cause?: unknown): AppError {
  return new AppError("corrupt", `cannot read the columns of statuses: ${what}`, { cause });
}
