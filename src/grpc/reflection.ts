import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { AppError } from "../base/errors.ts";
import type { GrpcService } from "./service.ts";
import { GRPC_STATUS } from "./status.ts";

/**
 * gRPC server reflection (v1 and its equal v1alpha): tools such as grpcurl learn from it which services there are and
 * what their messages look like. Files come as serialized `FileDescriptorProto`s.
 */
export function createReflectionServices(options: {
  /** Full names of the services to list. */
  readonly services: readonly string[];
  readonly files: readonly Uint8Array[];
}): GrpcService[] {
  const index = indexFiles(options.files);
  const services = [...options.services, ...VERSIONS].sort();
  return VERSIONS.map((name) => ({
    name,
    methods: {
      ServerReflectionInfo: {
        kind: "bidi",
        async *handle(requests) {
          for await (const request of requests) yield answer(request, { services, index });
        },
      },
    },
  }));
}

const VERSIONS = [
  "grpc.reflection.v1.ServerReflection",
  "grpc.reflection.v1alpha.ServerReflection",
] as const;

interface FileIndex {
  readonly byName: ReadonlyMap<string, DescriptorFile>;
  /** Messages, enums, services and methods by their full names. */
  readonly bySymbol: ReadonlyMap<string, DescriptorFile>;
}

interface DescriptorFile {
  readonly bytes: Uint8Array;
  readonly name: string;
  readonly dependencies: readonly string[];
}

function answer(
  request: Uint8Array,
  known: { services: readonly string[]; index: FileIndex },
): Uint8Array {
  const response = new BinaryWriter();
  let host = "";
  let question: { field: number; text: string } | undefined;
  for (const { field, wireType, bytes } of fieldsOf(request)) {
    if (wireType !== WireType.LengthDelimited) continue;
    const text = new TextDecoder().decode(bytes);
    if (field === 1) host = text;
    else question = { field, text };
  }
  response.tag(1, WireType.LengthDelimited).string(host);
  response.tag(2, WireType.LengthDelimited).bytes(request);
  if (question?.field === 7) {
    response.tag(6, WireType.LengthDelimited).fork();
    for (const name of known.services)
      response
        .tag(1, WireType.LengthDelimited)
        .fork()
        .tag(1, WireType.LengthDelimited)
        .string(name)
        .join();
    return response.join().finish();
  }
  const file =
    question?.field === 3
      ? known.index.byName.get(question.text)
      : question?.field === 4
        ? known.index.bySymbol.get(question.text)
        : undefined;
  if (file === undefined) {
    const status =
      question?.field === 3 || question?.field === 4
        ? GRPC_STATUS.notFound
        : GRPC_STATUS.unimplemented;
    const text = question === undefined ? "an empty request" : question.text;
    return response
      .tag(7, WireType.LengthDelimited)
      .fork()
      .tag(1, WireType.Varint)
      .int32(status)
      .tag(2, WireType.LengthDelimited)
      .string(`nothing is known about ${text}`)
      .join()
      .finish();
  }
  response.tag(4, WireType.LengthDelimited).fork();
  for (const { bytes } of withDependencies(file, known.index))
    response.tag(1, WireType.LengthDelimited).bytes(bytes);
  return response.join().finish();
}

/** The file, then what it imports, each once. */
function withDependencies(file: DescriptorFile, index: FileIndex): readonly DescriptorFile[] {
  const found = new Set([file]);
  for (const one of found)
    for (const name of one.dependencies) {
      const dependency = index.byName.get(name);
      if (dependency !== undefined) found.add(dependency);
    }
  return [...found];
}

/** Of `FileDescriptorProto`: 1 name, 2 package, 3 dependency, 4 message, 5 enum, 6 service. */
function indexFiles(files: readonly Uint8Array[]): FileIndex {
  const byName = new Map<string, DescriptorFile>();
  const bySymbol = new Map<string, DescriptorFile>();
  for (const bytes of files) {
    const fields = fieldsOf(bytes);
    const texts = (field: number): string[] =>
      fields.filter((one) => one.field === field).map((one) => new TextDecoder().decode(one.bytes));
    const file = { bytes, name: texts(1)[0] ?? "", dependencies: texts(3) };
    byName.set(file.name, file);
    const prefix = texts(2).map((name) => `${name}.`)[0] ?? "";
    for (const { field, bytes: part } of fields)
      if (field >= 4 && field <= 6)
        for (const symbol of symbolsOf(part, { prefix, kind: field })) bySymbol.set(symbol, file);
  }
  return { byName, bySymbol };
}

const MESSAGE = 4;
const ENUM = 5;
const SERVICE = 6;

/** The name (1) of a message, enum or service, and of what it holds: nested messages (3), enums (4); methods (2). */
function symbolsOf(bytes: Uint8Array, context: { prefix: string; kind: number }): string[] {
  const fields = fieldsOf(bytes);
  const name = fields.find(({ field }) => field === 1);
  const symbol = context.prefix + new TextDecoder().decode(name?.bytes);
  const nested = fields.flatMap(({ field, bytes: part }) => {
    const prefix = `${symbol}.`;
    if (context.kind === MESSAGE && field === 3) return symbolsOf(part, { prefix, kind: MESSAGE });
    if (context.kind === MESSAGE && field === 4) return symbolsOf(part, { prefix, kind: ENUM });
    if (context.kind === SERVICE && field === 2) return symbolsOf(part, { prefix, kind: 0 });
    return [];
  });
  return [symbol, ...nested];
}

interface Field {
  readonly field: number;
  readonly wireType: WireType;
  /** The content of a length-delimited field, empty for others. */
  readonly bytes: Uint8Array;
}

function fieldsOf(bytes: Uint8Array): Field[] {
  try {
    const reader = new BinaryReader(bytes);
    const fields: Field[] = [];
    while (reader.pos < reader.len) {
      const [field, wireType] = reader.tag();
      if (wireType === WireType.LengthDelimited)
        fields.push({ field, wireType, bytes: reader.bytes() });
      else {
        reader.skip(wireType, field);
        fields.push({ field, wireType, bytes: new Uint8Array(0) });
      }
    }
    return fields;
  } catch (error) {
    throw new AppError("bad-data", "cannot decode reflection message", { cause: error });
  }
}
