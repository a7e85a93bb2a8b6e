import type { Clock } from "../base/clock.ts";
import { type Random, randomInt } from "../base/random.ts";

/** Crockford's base 32: no I, L, O, U. */
const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;

/** A block's name: 10 characters of creation time in ms, 16 characters of chance; sorts by time of creation. */
export function newUlid(source: { clock: Pick<Clock, "now">; random: Random }): string {
  let rest = source.clock.now();
  let time = "";
  for (let i = 0; i < 10; i++) {
    time = ALPHABET[rest % 32]! + time;
    rest = Math.floor(rest / 32);
  }
  let chance = "";
  for (let i = 0; i < 16; i++) chance += ALPHABET[randomInt(source.random, 32)]!;
  return time + chance;
}

export function isUlid(text: string): boolean {
  return ULID.test(text);
}

/** The creation time in ms. */
export function ulidTimeMs(ulid: string): number {
  let time = 0;
  for (let i = 0; i < 10; i++) time = time * 32 + ALPHABET.indexOf(ulid[i]!);
  return time;
}
