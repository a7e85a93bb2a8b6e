/** A compensated sum: the value is `sum + rest` unless the sum has overflowed. */
export class KahanSum {
  sum = 0;
  rest = 0;

  add(value: number): void {
    const total = this.sum + value;
    if (total === Infinity || total === -Infinity) this.rest = 0;
    else if (Math.abs(this.sum) >= Math.abs(value)) this.rest += this.sum - total + value;
    else this.rest += value - total + this.sum;
    this.sum = total;
  }

  set(sum: number, rest: number): void {
    this.sum = sum;
    this.rest = rest;
  }
}
