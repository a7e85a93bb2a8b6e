/** The little of SVG that the picture needs, as text. */

export function escapeText(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

export function element(
  name: string,
  attributes: Readonly<Record<string, string | number>>,
  content = "",
): string {
  let text = `<${name}`;
  for (const [key, value] of Object.entries(attributes))
    text += ` ${key}="${typeof value === "number" ? round(value) : escapeText(value)}"`;
  return content === "" ? `${text}/>` : `${text}>${content}</${name}>`;
}

export function label(
  content: string,
  at: { readonly x: number; readonly y: number },
  attributes: Readonly<Record<string, string | number>> = {},
): string {
  return element("text", { x: at.x, y: at.y, ...attributes }, escapeText(content));
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** `M0,1 L2,3 …` */
export function linePath(points: readonly Point[]): string {
  return thinned(points)
    .map(({ x, y }, i) => `${i === 0 ? "M" : "L"}${round(x)},${round(y)}`)
    .join(" ");
}

/** The points of a curve that jumps: each value holds until the next. */
export function steps(points: readonly Point[]): Point[] {
  return points.flatMap((point, i) => {
    const before = points[i - 1];
    return before === undefined ? [point] : [{ x: point.x, y: before.y }, point];
  });
}

/** Without the points between two others at the same height: they change nothing. */
function thinned(points: readonly Point[]): Point[] {
  return points.filter((point, i) => {
    const before = points[i - 1];
    const after = points[i + 1];
    return (
      before === undefined || after === undefined || before.y !== point.y || after.y !== point.y
    );
  });
}

/** The area between two curves over the same places. */
export function bandPath(upper: readonly Point[], lower: readonly Point[]): string {
  return `${linePath([...upper, ...[...lower].reverse()])} Z`;
}

/** About `count` round values from 0 to at least `max`; the last is the top of the axis. */
export function niceTicks(max: number, count: number): number[] {
  if (max <= 0) return [0, 1];
  const rough = max / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((each) => each >= rough)!;
  // Things that are counted have no half.
  const whole = max >= count ? Math.max(1, Math.ceil(step)) : step;
  const ticks = [0];
  while (ticks.at(-1)! < max) ticks.push(Number((ticks.length * whole).toPrecision(6)));
  return ticks;
}

/** Tenths of a pixel are enough, and short text is a small file. */
function round(value: number): string {
  return String(Math.round(value * 10) / 10);
}
