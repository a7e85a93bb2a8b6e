/** Answers of two servers to the same query, made comparable. */

export interface Sample {
  /** Label set as text with sorted names. */
  readonly series: string;
  readonly value: number;
}

/** An instant query's vector (or scalar) sorted by series. */
export async function instant(url: string, query: string, timeSeconds: number): Promise<Sample[]> {
  const response = await fetch(`${url}/api/v1/query`, {
    method: "POST",
    body: new URLSearchParams({ query, time: String(timeSeconds) }),
  });
  const body = (await response.json()) as {
    status: string;
    error?: string;
    data:
      | {
          resultType: "vector";
          result: { metric: Record<string, string>; value: [number, string] }[];
        }
      | { resultType: "scalar"; result: [number, string] };
  };
  if (body.status !== "success") throw new Error(`${url} cannot answer ${query}: ${body.error}`);
  const { data } = body;
  if (data.resultType === "scalar") return [{ series: "{}", value: numberOf(data.result[1]) }];
  return data.result
    .map(({ metric, value }) => ({ series: labelText(metric), value: numberOf(value[1]) }))
    .sort((a, b) => (a.series < b.series ? -1 : 1));
}

export function labelText(metric: Record<string, string>): string {
  return JSON.stringify(Object.entries(metric).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function numberOf(text: string): number {
  return text === "+Inf" ? Infinity : text === "-Inf" ? -Infinity : Number(text);
}
