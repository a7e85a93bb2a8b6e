/**
 * The last eight bytes of MD5 (RFC 1321), which is all that the `hashmod` action uses. Here for speed, not for secrets:
 * for text of a few dozen bytes it takes a tenth of a call into the crypto library.
 */
const SHIFTS = [
  [7, 12, 17, 22],
  [5, 9, 14, 20],
  [4, 11, 16, 23],
  [6, 10, 15, 21],
].flatMap((round) => [...round, ...round, ...round, ...round]);
const ROTATIONS = Uint8Array.from(SHIFTS);
const SINES = Int32Array.from({ length: 64 }, (_, i) =>
  Number(BigInt.asIntN(32, BigInt(Math.floor(Math.abs(Math.sin(i + 1)) * 2 ** 32)))),
);
const WORDS = new Int32Array(16);
const STATE = new Int32Array(4);

/** MD5's bytes 8 to 15 as a big-endian number in two unsigned 32-bit halves. */
export function md5Tail(bytes: Uint8Array, size: number): { high: number; low: number } {
  STATE[0] = 0x67452301;
  STATE[1] = 0xefcdab89;
  STATE[2] = 0x98badcfe;
  STATE[3] = 0x10325476;
  const blocks = ((size + 8) >>> 6) + 1;
  for (let block = 0; block < blocks; block++) {
    for (let word = 0; word < 16; word++) {
      const at = block * 64 + word * 4;
      WORDS[word] =
        byteAt(bytes, size, at) |
        (byteAt(bytes, size, at + 1) << 8) |
        (byteAt(bytes, size, at + 2) << 16) |
        (byteAt(bytes, size, at + 3) << 24);
    }
    if (block === blocks - 1) {
      WORDS[14] = size << 3;
      WORDS[15] = size >>> 29;
    }
    mixBlock();
  }
  return { high: swapBytes(STATE[2]!), low: swapBytes(STATE[3]!) };
}

/** The message with its padding: the text, one byte 0x80, zeros. */
function byteAt(bytes: Uint8Array, size: number, at: number): number {
  return at < size ? bytes[at]! : at === size ? 0x80 : 0;
}

function mixBlock(): void {
  let a = STATE[0]!;
  let b = STATE[1]!;
  let c = STATE[2]!;
  let d = STATE[3]!;
  for (let i = 0; i < 64; i++) {
    let mixed: number;
    let word: number;
    if (i < 16) {
      mixed = (b & c) | (~b & d);
      word = i;
    } else if (i < 32) {
      mixed = (d & b) | (~d & c);
      word = (5 * i + 1) & 15;
    } else if (i < 48) {
      mixed = b ^ c ^ d;
      word = (3 * i + 5) & 15;
    } else {
      mixed = c ^ (b | ~d);
      word = (7 * i) & 15;
    }
    const sum = (a + mixed + SINES[i]! + WORDS[word]!) | 0;
    const rotation = ROTATIONS[i]!;
    a = d;
    d = c;
    c = b;
    b = (b + ((sum << rotation) | (sum >>> (32 - rotation)))) | 0;
  }
  STATE[0] = (STATE[0]! + a) | 0;
  STATE[1] = (STATE[1]! + b) | 0;
  STATE[2] = (STATE[2]! + c) | 0;
  STATE[3] = (STATE[3]! + d) | 0;
}

function swapBytes(word: number): number {
  return ((word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;
}
