import type { Budget } from "../budget.ts";

/** So many items are sorted, and merged, between two looks at the clock: with labels of a megabyte that takes 0.1 s. */
const RUN = 8;

/** `items` sorted, equal ones in their order; others have their turns meanwhile, because labels may be long. */
export async function steadySort<T>(
  items: readonly T[],
  compare: (a: T, b: T) => number,
  budget: Budget,
): Promise<T[]> {
  let from: T[] = [];
  for (let at = 0; at < items.length; at += RUN) {
    if (budget.isDue()) await budget.breathe();
    for (const item of items.slice(at, at + RUN).sort(compare)) from.push(item);
  }
  let into: T[] = [];
  for (let width = RUN; width < from.length; width *= 2) {
    into = [];
    for (let low = 0; low < from.length; low += 2 * width) {
      let left = low;
      const middle = Math.min(low + width, from.length);
      let right = middle;
      const high = Math.min(low + 2 * width, from.length);
      // Fast path: what comes in order stays so.
      const isInOrder = middle === high || compare(from[middle - 1]!, from[middle]!) <= 0;
      while (left < middle || right < high) {
        if (into.length % RUN === 0 && budget.isDue()) await budget.breathe();
        const takesLeft =
          right === high ||
          (left < middle && (isInOrder || compare(from[left]!, from[right]!) <= 0));
        into.push(from[takesLeft ? left++ : right++]!);
      }
    }
    from = into;
  }
  return from;
}
