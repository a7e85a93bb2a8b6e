import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { main } from "assemblyscript/asc";

export interface Kernel {
  /** `<name>.as` is compiled into `<name>.gen.ts`. */
  readonly name: string;
  /** The names of the other files that it is made of. */
  readonly imports?: readonly string[];
  /** The folder of them all. */
  readonly folder: URL;
  /** In pages of 64 KiB. */
  readonly memory: { readonly initial: number; readonly maximum: number };
  /** The memory comes from the host, which shares it among kernels; they keep nothing in it. Default: no. */
  readonly importsMemory?: boolean;
}

/** The texts of all files of a kernel, by the names that the compiler knows them by. */
async function sourcesOf({ name, imports = [], folder }: Kernel): Promise<Map<string, string>> {
  const sources = new Map<string, string>();
  for (const each of [name, ...imports])
    sources.set(`${each}.ts`, await readFile(new URL(`${each}.as`, folder), "utf8"));
  return sources;
}

/** Compiles a kernel; the module as base64. */
export async function compileKernel(kernel: Kernel): Promise<string> {
  const sources = await sourcesOf(kernel);
  let module: Uint8Array | undefined;
  const { initial, maximum } = kernel.memory;
  const { error } = await main(
    [`${kernel.name}.ts`, "-O3", "--noAssert", "--runtime", "stub", "--outFile", "out.wasm"].concat(
      ["--initialMemory", String(initial), "--maximumMemory", String(maximum)],
      ["--enable", "simd"],
      kernel.importsMemory === true ? ["--importMemory"] : [],
    ),
    {
      readFile: (name) => sources.get(name) ?? null,
      writeFile(_, contents) {
        if (typeof contents !== "string") module = contents;
      },
      listFiles: () => [],
    },
  );
  if (module === undefined)
    throw new Error(`cannot compile ${kernel.name}.as: ${error?.message ?? "no output"}`);
  return Buffer.from(module).toString("base64");
}

/** Whether `sha256` is that of the sources. When it is not, the module is written anew, by `writer`. */
export async function isCompiled(
  kernel: Kernel,
  committed: { readonly sha256: string; readonly writer: string },
): Promise<boolean> {
  const hash = createHash("sha256");
  for (const source of (await sourcesOf(kernel)).values()) hash.update(source);
  const sha256 = hash.digest("hex");
  if (sha256 === committed.sha256) return true;
  const prefix = kernel.name.replaceAll("-", "_").toUpperCase();
  await writeFile(
    new URL(`${kernel.name}.gen.ts`, kernel.folder),
    `/** ${kernel.name}.as as WebAssembly. Written by ${committed.writer}. */\nexport const ${prefix}_SOURCE_SHA256 =\n  "${sha256}";\nexport const ${prefix}_WASM =\n  "${await compileKernel(kernel)}";\n`,
  );
  return false;
}
