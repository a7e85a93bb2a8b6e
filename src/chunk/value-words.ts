/**
 * Columns of values seen as the words of their bits, low before high, so that no bit of a NaN is ever touched. The view made
 * last is kept: making one costs as much as decoding ten samples.
 */
export class ValueWords {
  #values: Float64Array = new Float64Array(0);
  #words: Int32Array = new Int32Array(0);

  of(values: Float64Array): Int32Array {
    if (values !== this.#values) {
      this.#values = values;
      this.#words = new Int32Array(values.buffer, values.byteOffset, values.length * 2);
    }
    return this.#words;
  }
}
