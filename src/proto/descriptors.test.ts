import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import { loadSync } from "@grpc/proto-loader";
import { FILE_DESCRIPTORS } from "./descriptors.gen.ts";

/** SHOAL_REWRITE=1 writes descriptors.gen.ts anew. */
it("descriptors.gen.ts holds the .proto files as they are", () => {
  const definitions = loadSync(["store.proto", "info.proto", "health.proto"], {
    includeDirs: [import.meta.dirname, join(import.meta.dirname, "..", "grpc")],
    keepCase: true,
  });
  const definition = definitions["thanos.SeriesRequest"];
  assert.ok(definition !== undefined && "fileDescriptorProtos" in definition);
  const { fileDescriptorProtos } = definition;
  assert.ok(Array.isArray(fileDescriptorProtos));
  const current = fileDescriptorProtos.map((bytes: Uint8Array) =>
    Buffer.from(bytes).toString("base64"),
  );
  if (process.env["SHOAL_REWRITE"] === "1") {
    const lines = current.map((text) => `  "${text}",\n`).join("");
    writeFileSync(
      join(import.meta.dirname, "descriptors.gen.ts"),
      `/** FileDescriptorProtos of the .proto files, base64, for server reflection. Written by descriptors.test.ts. */\nexport const FILE_DESCRIPTORS: readonly string[] = [\n${lines}];\n`,
    );
    return;
  }
  assert.deepEqual(FILE_DESCRIPTORS, current);
});
