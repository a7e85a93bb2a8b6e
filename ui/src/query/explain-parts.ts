import type { QueryAnalysis } from "../api.ts";

/** A part of a query with its place in the tree. */
export interface Part {
  readonly node: QueryAnalysis;
  readonly depth: number;
  /** Without its children. */
  readonly ownSeconds: number;
}

/** The parts from the whole down, each before what it is made of. */
export function partsOf(root: QueryAnalysis): Part[] {
  const parts: Part[] = [];
  const visit = (node: QueryAnalysis, depth: number): void => {
    const children = node.children ?? [];
    const below = children.reduce((sum, child) => sum + secondsOf(child), 0);
    // Parts that run at the same time may take longer together than the whole.
    parts.push({ node, depth, ownSeconds: Math.max(0, secondsOf(node) - below) });
    for (const child of children) visit(child, depth + 1);
  };
  visit(root, 0);
  return parts;
}

export function secondsOf({ executionTime }: QueryAnalysis): number {
  return Number.parseFloat(executionTime) / 1000;
}

/** To this depth every level is set in by as much; a sum of many terms is as deep as it has terms. */
export const EVEN_DEPTH = 6;
const EVEN_STEP = 22;
/** All levels below together get this much more, the first of them most of it. */
const REST = 100;

/** By how many pixels a part is set in: more than what is above it, but never so much that figures must give way. */
export function indentOf(depth: number): number {
  if (depth <= EVEN_DEPTH) return depth * EVEN_STEP;
  const further = depth - EVEN_DEPTH;
  return EVEN_DEPTH * EVEN_STEP + (REST * further) / (further + REST / EVEN_STEP);
}
