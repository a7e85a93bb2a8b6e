/** The signatures of all PromQL functions of Prometheus 3.14; what they compute is the engine's. */
import type { FunctionSignature, ValueType } from "./ast.ts";

const TYPES: Readonly<Record<string, ValueType>> = {
  V: "vector",
  M: "matrix",
  S: "scalar",
  T: "string",
};

/**
 * One function a line: name, argument types (V instant vector, M range vector, S scalar, T string), then what sets it
 * apart: `?n` up to n arguments beyond all but the last type, `*` any number, `→S` returns a scalar (a vector
 * otherwise), `E` experimental.
 */
const TABLE = `
abs V
absent V
absent_over_time M
acos V
acosh V
asin V
asinh V
atan V
atanh V
avg_over_time M
ceil V
changes M
clamp VSS
clamp_max VS
clamp_min VS
cos V
cosh V
count_over_time M
day_of_month V ?1
day_of_week V ?1
day_of_year V ?1
days_in_month V ?1
deg V
delta M
deriv M
double_exponential_smoothing MSS E
end - →S E
exp V
first_over_time M
floor V
histogram_avg V
histogram_count V
histogram_fraction SSV
histogram_quantile SV
histogram_quantiles VTSS ?9 E
histogram_stddev V
histogram_stdvar V
histogram_sum V
hour V ?1
idelta M
increase M
info VV ?1 E
irate M
label_join VTTT *
label_replace VTTTT
last_over_time M
ln V
log10 V
log2 V
mad_over_time M E
max_of SS →S E
max_over_time M
min_of SS →S E
min_over_time M
minute V ?1
month V ?1
pi - →S
predict_linear MS
present_over_time M
quantile_over_time SM
rad V
range - →S E
rate M
resets M
round VS ?1
scalar V →S
sgn V
sin V
sinh V
sort V
sort_by_label VT * E
sort_by_label_desc VT * E
sort_desc V
sqrt V
start - →S E
start_timestamp V E
stddev_over_time M
stdvar_over_time M
step - →S E
sum_over_time M
tan V
tanh V
time - →S
timestamp V
ts_of_first_over_time M E
ts_of_last_over_time M E
ts_of_max_over_time M E
ts_of_min_over_time M E
vector S
year V ?1
`;

/** All functions by name. */
export const FUNCTIONS: ReadonlyMap<string, FunctionSignature> = new Map(
  TABLE.trim()
    .split("\n")
    .map((line) => {
      const [name = "", types = "", ...marks] = line.split(" ");
      const repeat = marks.find((mark) => mark.startsWith("?"));
      const signature: FunctionSignature = {
        name,
        argTypes: types === "-" ? [] : types.split("").map((letter) => TYPES[letter]!),
        variadic: repeat !== undefined ? Number(repeat.slice(1)) : marks.includes("*") ? -1 : 0,
        returnType: marks.includes("→S") ? "scalar" : "vector",
        experimental: marks.includes("E"),
      };
      return [name, signature] as const;
    }),
);

/** Functions whose value depends on the evaluation time even when all their input is pinned. */
export const STEP_DEPENDENT_FUNCTIONS: ReadonlySet<string> = new Set([
  "days_in_month",
  "day_of_month",
  "day_of_week",
  "day_of_year",
  "end",
  "hour",
  "minute",
  "month",
  "predict_linear",
  "range",
  "start",
  "step",
  "time",
  "timestamp",
  "year",
]);
