import { AppError } from "../../base/errors.ts";
import type { CallPlan } from "../plan.ts";
import type { VectorOperator } from "./row.ts";

/** `info(v, …)`. */
export function infoOperator(_operand: VectorOperator, _plan: CallPlan): VectorOperator {
  throw new AppError("execution", 'cannot evaluate the function "info" yet');
}
