/** Parts of the API's objects that several roles read. */

/** The API leaves out what is not set, and some writers write null. */
export type Maybe<T> = { readonly [K in keyof T]?: T[K] | null };

export type RawPort = Maybe<{
  name: string;
  port: number;
  containerPort: number;
  protocol: string;
  appProtocol: string;
}>;

export interface ServicePort {
  readonly name: string;
  readonly number: number;
  readonly protocol: string;
}

export function servicePorts(ports: readonly RawPort[] | null | undefined): ServicePort[] {
  return (ports ?? []).map(({ name, port, protocol }) => ({
    name: name ?? "",
    number: port ?? 0,
    protocol: protocol ?? "",
  }));
}

export type RawCondition = Maybe<{ type: string; status: string }>;

export interface TargetRef {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

export type RawTargetRef = Maybe<TargetRef>;

export function targetOf(ref: RawTargetRef | null | undefined): TargetRef | undefined {
  return ref
    ? { kind: ref.kind ?? "", namespace: ref.namespace ?? "", name: ref.name ?? "" }
    : undefined;
}
