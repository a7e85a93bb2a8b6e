/** The rounding error of `sum + increment`, to be added to the compensation (Kahan's sum with Neumaier's swap). */
export function sumError(increment: number, sum: number, total: number): number {
  return Math.abs(sum) >= Math.abs(increment) ? sum - total + increment : increment - total + sum;
}

/** A running sum: `add` keeps `sum` and what rounding took from it in `compensation`; an infinite sum has none. */
export class KahanSum {
  sum: number;
  compensation: number;

  constructor(sum = 0, compensation = 0) {
    this.sum = sum;
    this.compensation = compensation;
  }

  add(increment: number): void {
    const total = this.sum + increment;
    if (total === Infinity || total === -Infinity) this.compensation = 0;
    else this.compensation += sumError(increment, this.sum, total);
    this.sum = total;
  }
}
