import { mapKey } from "../base/map-key.ts";
import { Labels } from "../model/labels.ts";

/**
 * Label sets on their way between threads: each name and value once, and numbers of them. Strings are copied one by one when a
 * message is sent, and a hundred thousand series have a million of them, of which few differ.
 */
export interface WireLabels {
  readonly texts: readonly string[];
  /** How many names and values each label set has. */
  readonly sizes: Int32Array;
  /** Places in `texts`: name, value, name, value, … of one set after the other. */
  readonly places: Int32Array;
}

export function packLabels(owners: readonly { readonly labels: Labels }[]): WireLabels {
  const sizes = Int32Array.from(owners, ({ labels }) => 2 * labels.count);
  const places = new Int32Array(sizes.reduce((sum, size) => sum + size, 0));
  const known = new Map<string, number>();
  let at = 0;
  const texts: string[] = [];
  const put = (text: string): void => {
    const key = mapKey(text);
    let place = known.get(key);
    if (place === undefined) {
      known.set(key, (place = texts.length));
      texts.push(text);
    }
    places[at++] = place;
  };
  for (const { labels } of owners)
    for (let i = 0; i < labels.count; i++) {
      put(labels.nameAt(i));
      put(labels.valueAt(i));
    }
  return { texts, sizes, places };
}

export function unpackLabels({ texts, sizes, places }: WireLabels): Labels[] {
  let at = 0;
  return Array.from(sizes, (size) => {
    const flat: string[] = [];
    for (let i = 0; i < size; i++) flat.push(texts[places[at++]!]!);
    return Labels.fromSorted(flat);
  });
}
