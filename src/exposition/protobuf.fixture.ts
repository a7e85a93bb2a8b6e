/** Protobuf by hand: a field is a key and a value. */
export const varint = (value: number): number[] =>
  value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(Math.floor(value / 128))];
export const field = (number: number, ...parts: number[][]): number[] => {
  const content = parts.flat();
  return [...varint(number * 8 + 2), ...varint(content.length), ...content];
};
export const text = (number: number, value: string): number[] =>
  field(number, [...Buffer.from(value)]);
export const enumeration = (number: number, value: number): number[] => [
  ...varint(number * 8),
  ...varint(value),
];
export const double = (number: number, value: number): number[] => {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return [...varint(number * 8 + 1), ...bytes];
};
export const label = (name: string, value: string): number[] =>
  field(1, text(1, name), text(2, value));
export const delimited = (...parts: number[][]): number[] => {
  const content = parts.flat();
  return [...varint(content.length), ...content];
};
