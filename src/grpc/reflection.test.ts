import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  credentials,
  loadPackageDefinition,
  type Client,
  type ClientDuplexStream,
} from "@grpc/grpc-js";
import { loadFileDescriptorSetFromBuffer, loadSync } from "@grpc/proto-loader";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { FILE_DESCRIPTORS } from "../proto/descriptors.gen.ts";
import { createReflectionServices } from "./reflection.ts";
import { createGrpcServer } from "./server.ts";

interface Answer {
  list_services_response?: { service: { name: string }[] };
  file_descriptor_response?: { file_descriptor_proto: Buffer[] };
  error_response?: { error_code: number; error_message: string };
}
interface ReflectionClient extends Client {
  ServerReflectionInfo(): ClientDuplexStream<object, Answer> & AsyncIterable<Answer>;
}

describe("grpc.reflection.v1.ServerReflection", () => {
  it("answers one question after the other on one stream", async (context) => {
    const server = createGrpcServer({
      port: 0,
      graceMs: 0,
      services: createReflectionServices({
        services: ["thanos.Store"],
        files: FILE_DESCRIPTORS.map((text) => Buffer.from(text, "base64")),
      }),
    });
    await server.start();
    const root = loadPackageDefinition(
      loadSync("reflection.proto", { includeDirs: [import.meta.dirname], keepCase: true }),
    ) as unknown as {
      grpc: {
        reflection: {
          v1: { ServerReflection: new (...parameters: unknown[]) => ReflectionClient };
        };
      };
    };
    const client = new root.grpc.reflection.v1.ServerReflection(
      `127.0.0.1:${server.address().port}`,
      credentials.createInsecure(),
    );
    context.after(async () => {
      client.close();
      await server.stop();
    });
    const stream = client.ServerReflectionInfo();
    const answers = stream[Symbol.asyncIterator]();
    const ask = async (question: object): Promise<Answer> => {
      stream.write(question);
      const { value } = await answers.next();
      return value;
    };
    const { list_services_response: list } = await ask({ list_services: "*" });
    assert.deepEqual(
      list?.service.map(({ name }) => name),
      [
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "thanos.Store",
      ],
    );
    for (const symbol of ["thanos.Store", "thanos.Store.Series", "thanos.LabelMatcher.Type"]) {
      const { file_descriptor_response: file } = await ask({ file_containing_symbol: symbol });
      const set = new BinaryWriter();
      for (const bytes of file?.file_descriptor_proto ?? [])
        set.tag(1, WireType.LengthDelimited).bytes(bytes);
      const definitions = loadFileDescriptorSetFromBuffer(Buffer.from(set.finish()));
      assert.ok(definitions["thanos.SeriesRequest"] !== undefined, symbol);
    }
    const { file_descriptor_response: byName } = await ask({
      file_by_filename: "thanos_info.proto",
    });
    assert.equal(byName?.file_descriptor_proto.length, 1);
    const { error_response: error } = await ask({ file_containing_symbol: "thanos.Nothing" });
    assert.deepEqual(error, {
      error_code: 5,
      error_message: "nothing is known about thanos.Nothing",
    });
    stream.end();
    assert.equal((await answers.next()).done, true);
  });
});
