import { SeriesEncoder } from "../proto/series-response.ts";

/** Idle ones kept. */
export const MAX_SPARE_ENCODERS = 4;
/** One that holds more is let go of: its frames were unusually large. */
export const MAX_SPARE_BYTES = 2 * 1024 * 1024;

const spare: SeriesEncoder[] = [];

/** An encoder for a stream, if there is one with the memory of a stream that has ended: the next need not find and grow its own. */
export function takeEncoder(): SeriesEncoder {
  return spare.pop() ?? new SeriesEncoder();
}

/** Gives back that of a stream which has ended well, after its last frame was sent. */
export function giveEncoder(encoder: SeriesEncoder): void {
  if (spare.length < MAX_SPARE_ENCODERS && encoder.capacity <= MAX_SPARE_BYTES) spare.push(encoder);
}
