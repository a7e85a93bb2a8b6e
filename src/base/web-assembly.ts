/** What is used of the WebAssembly API, whose types come with those of browsers only. */
interface WebAssemblyApi {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports?: object) => { readonly exports: unknown };
  readonly RuntimeError: new () => Error;
  readonly Memory: new (pages: { initial: number; maximum: number }) => WasmMemory;
}

/** A memory of fixed size. */
export interface WasmMemory {
  readonly buffer: ArrayBuffer;
}

const { WebAssembly: api } = globalThis as unknown as { WebAssembly: WebAssemblyApi };

/** A module of a `.gen.ts` file. */
export function compileModule(base64: string): object {
  return new api.Module(Buffer.from(base64, "base64"));
}

/** The exports of a new instance of `module`, with memory of its own, or on `memory` if it was compiled to import it. */
export function instantiate(module: object, memory?: WasmMemory): unknown {
  return new api.Instance(module, memory === undefined ? undefined : { env: { memory } }).exports;
}

/** `pages` of 64 KiB that several instances share. The system gives what of it is touched. */
export function createMemory(pages: number): WasmMemory {
  return new api.Memory({ initial: pages, maximum: pages });
}

/** Whether a call ended in a trap, or had no room on the stack. */
export function isTrap(error: unknown): boolean {
  return error instanceof api.RuntimeError || error instanceof RangeError;
}
