/**
 * The program's entry. Code compiled once is kept beside the installed packages, so that the next process starts faster
 * and smaller: without the cache every child would load the type stripper to read the same sources again.
 */
import { enableCompileCache } from "node:module";
import { join } from "node:path";

enableCompileCache(join(import.meta.dirname, "..", "..", "node_modules", ".cache", "shoal"));
const { run } = await import("./program.ts");
await run(process.argv.slice(2));
