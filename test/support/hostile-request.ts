/** Bad and edge input for the HTTP API, as requests that can be sent to Shoal and to Prometheus alike. */

export interface HostileRequest {
  readonly name: string;
  /** Default GET. */
  readonly method?: string;
  /** Below `/api/v1/`, sent as it is: percent escapes may be broken. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Where our answer is another one on purpose. */
  readonly ours?: Ours;
  /** Where the end of Prometheus's text changes from call to call, or is a number of its own: compared up to here. */
  readonly upTo?: string;
}

export interface Ours {
  readonly status: number;
  readonly text: RegExp;
  readonly why: string;
  /** Prometheus takes minutes, or forever: it is not asked. */
  readonly alone?: true;
}

export const TIME = "time=1700000000";
export const RANGE = "start=1700000000&end=1700000600&step=60";
export const FORM = { "content-type": "application/x-www-form-urlencoded" };
export const NO_REDIRECT: Omit<Ours, "status" | "text"> = {
  why: "Prometheus redirects to a path that it does not have",
};

export const NO_TIME: Omit<Ours, "text"> = {
  status: 400,
  why: "what no 64 bits can express becomes any time in Prometheus",
};
