import type { Command } from "commander";

/** The commands that check and test instead of serving. */
export function registerTools(_program: Command): void {}
