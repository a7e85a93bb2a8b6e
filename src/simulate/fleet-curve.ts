import { AppError, messageOf } from "../base/errors.ts";
import { formatDuration, parseDuration } from "../base/units.ts";

/** A point of the fleet's size over time: `share` of all targets exist at `atMs` after the start. */
export interface CurvePoint {
  readonly atMs: number;
  readonly share: number;
}

/** Times go up; before the first point and after the last one the size stays. */
export type FleetCurve = readonly CurvePoint[];

/** Reads `0h:0.02,8h:1,20h:0.33`. Throws `bad-data`. */
export function parseFleetCurve(text: string): FleetCurve {
  const wrong = (what: string): AppError =>
    new AppError("bad-data", `${what} (write time:share pairs, like 0h:0.1,8h:1,16h:0.5)`);
  const points = text.split(",").map((part): CurvePoint => {
    const [time, shareText, ...rest] = part.trim().split(":");
    if (time === undefined || shareText === undefined || rest.length > 0)
      throw wrong(`${JSON.stringify(part)} is not a time and a share`);
    const share = Number(shareText);
    if (shareText.trim() === "" || !(share >= 0 && share <= MAX_SHARE))
      throw wrong(`the share ${JSON.stringify(shareText)} is not a number from 0 to ${MAX_SHARE}`);
    try {
      // "0h" is what people write and Prometheus's durations read.
      return { atMs: parseDuration(time), share };
    } catch (error) {
      throw wrong(messageOf(error));
    }
  });
  for (const [i, point] of points.entries())
    if (i > 0 && point.atMs <= points[i - 1]!.atMs)
      throw wrong(`${formatDuration(point.atMs)} does not come after the point before it`);
  return points;
}

export function printFleetCurve(curve: FleetCurve): string {
  return curve.map(({ atMs, share }) => `${formatDuration(atMs)}:${share}`).join(",");
}

/** The share of the fleet at `atMs` after the start; straight lines between the points. */
export function shareAt(curve: FleetCurve, atMs: number): number {
  const next = curve.findIndex((point) => point.atMs > atMs);
  if (next < 0) return curve.at(-1)!.share;
  if (next === 0) return curve[0]!.share;
  const from = curve[next - 1]!;
  const to = curve[next]!;
  return from.share + ((to.share - from.share) * (atMs - from.atMs)) / (to.atMs - from.atMs);
}

/** A fleet may grow beyond `--targets`, but a typing error must not ask for a million times as many. */
const MAX_SHARE = 100;
