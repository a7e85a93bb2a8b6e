/** Calendar parts (UTC) of a time in seconds since 1970, by PromQL name. Fractions of a second are cut off. */
export const DATE_FUNCTIONS: ReadonlyMap<string, (seconds: number) => number> = new Map([
  ["minute", within(30, (seconds) => Math.floor(modulo(seconds, 3600) / 60))],
  ["hour", within(15, (seconds) => Math.floor(modulo(seconds, 86_400) / 3600))],
  // 1970-01-01 was a Thursday.
  ["day_of_week", within(0, (seconds) => modulo(dayNumber(seconds) + 4, 7))],
  ["day_of_month", within(4, (seconds) => civil(seconds).day)],
  ["day_of_year", within(339, dayOfYear)],
  ["days_in_month", within(31, daysInMonth)],
  ["month", within(12, (seconds) => civil(seconds).month)],
  ["year", within(292_277_026_596, (seconds) => civil(seconds).year)],
]);

/**
 * NaN, infinities and times beyond 64 bits become the smallest 64-bit integer in Prometheus, whose calendar date wraps
 * around to 292277026596-12-04 15:30; `part` is that date's.
 */
function within(part: number, compute: (seconds: number) => number): (seconds: number) => number {
  return (seconds) =>
    seconds >= -(2 ** 63) && seconds < 2 ** 63 ? compute(Math.trunc(seconds)) : part;
}

function modulo(a: number, b: number): number {
  const rest = a % b;
  return rest < 0 ? rest + b : rest + 0;
}

function dayNumber(seconds: number): number {
  return Math.floor(seconds / 86_400);
}

interface CivilDate {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  readonly day: number;
}

/** Days to a proleptic Gregorian date, counted in 400-year eras that start on 1 March, so that leap days come last. */
function civil(seconds: number): CivilDate {
  const days = dayNumber(seconds) + 719_468;
  const era = Math.floor(days / 146_097);
  const dayOfEra = days - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfMarchYear =
    dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const marchMonth = Math.floor((5 * dayOfMarchYear + 2) / 153);
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9;
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfMarchYear - Math.floor((153 * marchMonth + 2) / 5) + 1,
  };
}

function isLeapYear(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

const MONTH_DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

function daysInMonth(seconds: number): number {
  const { year, month } = civil(seconds);
  return month === 2 && isLeapYear(year) ? 29 : (MONTH_DAYS[month - 1] ?? NaN);
}

function dayOfYear(seconds: number): number {
  const { year, month, day } = civil(seconds);
  let days = day;
  for (let m = 1; m < month; m++) days += m === 2 && isLeapYear(year) ? 29 : MONTH_DAYS[m - 1]!;
  return days;
}
