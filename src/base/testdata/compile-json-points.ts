import { readFile } from "node:fs/promises";
import { main } from "assemblyscript/asc";

export const SOURCE_PATH = new URL("../json-points.as", import.meta.url);

/** Compiles json-points.as; the module as base64. */
export async function compileJsonPoints(): Promise<string> {
  const source = await readFile(SOURCE_PATH, "utf8");
  let module: Uint8Array | undefined;
  const { error } = await main(
    ["json-points.ts", "-O3", "--noAssert", "--runtime", "stub", "--outFile", "out.wasm"].concat(
      // 2 MiB: JsonWriter knows what lies where.
      ["--initialMemory", "32", "--maximumMemory", "32"],
    ),
    {
      readFile: (name) => (name === "json-points.ts" ? source : null),
      writeFile(_, contents) {
        if (typeof contents !== "string") module = contents;
      },
      listFiles: () => [],
    },
  );
  if (module === undefined)
    throw new Error(`cannot compile json-points.as: ${error?.message ?? "no output"}`);
  return Buffer.from(module).toString("base64");
}
