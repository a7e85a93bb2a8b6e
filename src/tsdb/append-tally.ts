import {
  type AppendResult,
  NOTHING_APPENDED,
  type Refusal,
  type RefusalReason,
} from "../storage/appender.ts";
import {
  APPENDED,
  type AppendOutcome,
  DUPLICATE,
  OUT_OF_ORDER,
  REPEATED,
  STALE_HISTOGRAM,
  UNKNOWN_REF,
} from "./head-store.ts";

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Counts what becomes of one batch. */
export class AppendTally {
  readonly result: Writable<AppendResult>;
  /** Samples of all parts that were refused. */
  refusedCount = 0;
  readonly #refused: Refusal[] | undefined;

  constructor(listRefused: boolean) {
    this.#refused = listRefused ? [] : undefined;
    this.result = { ...NOTHING_APPENDED, refused: this.#refused ?? NOTHING_APPENDED.refused };
  }

  /** What became of a sample; one that is there already is as good as stored. */
  add(outcome: AppendOutcome, part: "float" | "histogram", index: number): void {
    if (outcome === APPENDED || outcome === REPEATED)
      this.result[part === "float" ? "appended" : "appendedHistograms"]++;
    else this.refuse(REASONS[outcome], part, index);
  }

  refuse(
    reason: RefusalReason,
    part: "float" | "histogram",
    index: number,
    message?: string,
  ): void {
    this.refusedCount++;
    this.result[COUNT_OF[reason]]++;
    this.#list(part, index, reason, message);
  }

  #list(
    part: Refusal["part"],
    index: number,
    reason: RefusalReason,
    message: string | undefined,
  ): void {
    this.#refused?.push({ part, index, reason, ...(message === undefined ? {} : { message }) });
  }

  /** Exemplars that are refused do not stand in the way of samples. */
  refuseExemplar(reason: RefusalReason, index: number, message?: string): void {
    this.result.refusedExemplars++;
    this.#list("exemplar", index, reason, message);
  }

  /** None of the batch is stored. */
  rejectAll(): void {
    this.result.appended = 0;
    this.result.appendedHistograms = 0;
  }
}

const REASONS = {
  [OUT_OF_ORDER]: "out-of-order",
  [DUPLICATE]: "duplicate",
  [UNKNOWN_REF]: "unknown-ref",
  // A marker is made a histogram before; that it comes here means that the series is a histogram again.
  [STALE_HISTOGRAM]: "duplicate",
} as const satisfies Record<
  Exclude<AppendOutcome, typeof APPENDED | typeof REPEATED>,
  RefusalReason
>;

const COUNT_OF = {
  "out-of-order": "outOfOrder",
  duplicate: "duplicate",
  "too-old": "tooOld",
  "out-of-bounds": "outOfBounds",
  "unknown-ref": "unknownRef",
  invalid: "invalid",
} as const satisfies Record<RefusalReason, keyof AppendResult>;
