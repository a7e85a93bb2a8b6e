import type { Kind } from "./kind.ts";

export const MECHANISMS: Readonly<Record<string, Kind<unknown>>> = {};
