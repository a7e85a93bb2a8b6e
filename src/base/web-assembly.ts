/** What is used of the WebAssembly API, whose types come with those of browsers only. */
interface WebAssemblyApi {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
}

const { WebAssembly: api } = globalThis as unknown as { WebAssembly: WebAssemblyApi };

/** A module of a `.gen.ts` file. */
export function compileModule(base64: string): object {
  return new api.Module(Buffer.from(base64, "base64"));
}

/** The exports of a new instance of `module`, with memory of its own. */
export function instantiate(module: object): unknown {
  return new api.Instance(module).exports;
}
