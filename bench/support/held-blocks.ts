/**
 * Prints by how much RSS grows with each of several times that a block is opened and held. A process of its own, whose
 * memory nothing else has been in. Run: node --expose-gc bench/support/held-blocks.ts BLOCK COUNT
 */
import { type Block, openBlock } from "../../src/block/block.ts";

const [path, count] = [process.argv[2]!, Number(process.argv[3])];

function rss(): number {
  globalThis.gc?.();
  return process.memoryUsage.rss();
}

await (await openBlock(path)).close();
const before = rss();
const held: Block[] = [];
for (let i = 0; i < count; i++) held.push(await openBlock(path));
console.log((rss() - before) / count);
for (const block of held) await block.close();
