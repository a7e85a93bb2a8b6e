import { exp } from "../../base/exponential.ts";
import { log, log10, log2 } from "../../base/logarithm.ts";
import { acosh, asinh, atanh, cosh, sinh, tanh } from "./hyperbolic.ts";
import { acos, asin, atan, cos, sin, tan } from "./trigonometry.ts";

/** Functions of one float, by PromQL name. */
export const MATH_FUNCTIONS: ReadonlyMap<string, (x: number) => number> = new Map([
  ["abs", Math.abs],
  ["ceil", Math.ceil],
  ["floor", Math.floor],
  ["exp", exp],
  ["sqrt", Math.sqrt],
  ["ln", log],
  ["log2", log2],
  ["log10", log10],
  ["sin", sin],
  ["cos", cos],
  ["tan", tan],
  ["asin", asin],
  ["acos", acos],
  ["atan", atan],
  ["sinh", sinh],
  ["cosh", cosh],
  ["tanh", tanh],
  ["asinh", asinh],
  ["acosh", acosh],
  ["atanh", atanh],
  ["rad", (x: number) => (x * Math.PI) / 180],
  ["deg", (x: number) => (x * 180) / Math.PI],
  ["sgn", (x: number) => (x < 0 ? -1 : x > 0 ? 1 : x)],
]);
