import { compareText } from "../base/text.ts";
import { Labels } from "./labels.ts";

/**
 * Labels under change: one flat array (name, value, …) kept sorted, which for the usual ten labels beats any map. Meant
 * to be reused: `reset`, change, `labels`.
 */
export class LabelBuilder {
  #flat: string[] = [];
  #base: Labels | undefined;

  constructor(base: Labels = Labels.EMPTY) {
    this.reset(base);
  }

  reset(base: Labels): void {
    const flat = this.#flat;
    flat.length = 2 * base.count;
    for (let i = 0; i < base.count; i++) {
      flat[2 * i] = base.nameAt(i);
      flat[2 * i + 1] = base.valueAt(i);
    }
    this.#base = base;
  }

  /**
   * `base` with `changes`, whose names are sorted, in one pass: setting one after the other looks through all labels for
   * each. An empty value removes the label.
   */
  resetMerged(
    base: Labels,
    changes: { names: readonly string[]; values: readonly string[] },
  ): void {
    const { names, values } = changes;
    const flat = this.#flat;
    const most = 2 * (base.count + names.length);
    if (flat.length < most) flat.length = most;
    let size = 0;
    let i = 0;
    let j = 0;
    while (i < base.count || j < names.length) {
      const order =
        i === base.count ? 1 : j === names.length ? -1 : compareText(base.nameAt(i), names[j]!);
      const isOfBase = order < 0;
      const value = isOfBase ? base.valueAt(i) : values[j]!;
      if (value !== "") {
        flat[size++] = isOfBase ? base.nameAt(i) : names[j]!;
        flat[size++] = value;
      }
      if (order <= 0) i++;
      if (order >= 0) j++;
    }
    flat.length = size;
    this.#base = undefined;
  }

  get count(): number {
    return this.#flat.length / 2;
  }

  nameAt(index: number): string {
    return this.#flat[2 * index]!;
  }

  valueAt(index: number): string {
    return this.#flat[2 * index + 1]!;
  }

  /** The value of `name`, or "" when absent. */
  get(name: string): string {
    const flat = this.#flat;
    for (let i = 0; i < flat.length; i += 2) if (flat[i] === name) return flat[i + 1]!;
    return "";
  }

  /** Sets `name` to `value`; an empty value removes it. */
  set(name: string, value: string): void {
    if (value === "") {
      this.delete(name);
      return;
    }
    const flat = this.#flat;
    let i = 0;
    for (; i < flat.length; i += 2) {
      if (flat[i] === name) {
        if (flat[i + 1] !== value) {
          flat[i + 1] = value;
          this.#base = undefined;
        }
        return;
      }
    }
    // Names mostly arrive in order, so the place is looked for from the end.
    while (i > 0 && compareText(flat[i - 2]!, name) > 0) i -= 2;
    flat.splice(i, 0, name, value);
    this.#base = undefined;
  }

  delete(name: string): void {
    const flat = this.#flat;
    for (let i = 0; i < flat.length; i += 2)
      if (flat[i] === name) {
        flat.splice(i, 2);
        this.#base = undefined;
        return;
      }
  }

  /** Removes every label whose name `gone` accepts. */
  deleteWhere(gone: (name: string) => boolean): void {
    const flat = this.#flat;
    let kept = 0;
    for (let i = 0; i < flat.length; i += 2) {
      if (gone(flat[i]!)) continue;
      flat[kept] = flat[i]!;
      flat[kept + 1] = flat[i + 1]!;
      kept += 2;
    }
    if (kept === flat.length) return;
    flat.length = kept;
    this.#base = undefined;
  }

  /** The labels as they are now; the very ones given to `reset` when nothing has changed. */
  labels(): Labels {
    return (this.#base ??= Labels.fromSorted(this.#flat.slice()));
  }
}
