import type { RefusalReason } from "../storage/appender.ts";

/** Prometheus's words for each reason that a sample is not stored for. */
export const REFUSALS: Readonly<Record<RefusalReason, string>> = {
  "out-of-order": "out of order sample",
  duplicate: "duplicate sample for timestamp",
  "too-old": "too old sample",
  "out-of-bounds": "out of bounds",
  "unknown-ref": "the storage has just forgotten the series",
  invalid: "invalid sample",
};
