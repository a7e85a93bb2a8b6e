import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { AppError } from "../base/errors.ts";
import type { CallContext, GrpcService } from "./service.ts";

/** `grpc.health.v1.HealthCheckResponse.ServingStatus` */
const SERVING = 1;
const NOT_SERVING = 2;
const SERVICE_UNKNOWN = 3;

/** gRPC's standard health service, which load balancers and Kubernetes probes ask. */
export interface Health {
  readonly service: GrpcService;
  /** `name` is a service's full name, or "" for the server as a whole; every watcher hears of a change. */
  set(name: string, serving: boolean): void;
}

export function createHealth(): Health {
  const states = new Map<string, boolean>();
  const watchers = new Set<() => void>();
  const statusOf = (name: string): number => {
    const serving = states.get(name);
    return serving === undefined ? SERVICE_UNKNOWN : serving ? SERVING : NOT_SERVING;
  };

  async function* watch(name: string, call: CallContext): AsyncGenerator<Uint8Array> {
    let told: number | undefined;
    let wake = (): void => {};
    const onChange = (): void => wake();
    watchers.add(onChange);
    call.signal.addEventListener("abort", onChange);
    try {
      while (!call.signal.aborted) {
        const status = statusOf(name);
        if (status === told) {
          await new Promise<void>((resolve) => (wake = resolve));
          continue;
        }
        told = status;
        yield encodeStatus(status);
      }
    } finally {
      watchers.delete(onChange);
      call.signal.removeEventListener("abort", onChange);
    }
  }

  return {
    set(name, serving) {
      states.set(name, serving);
      for (const onChange of watchers) onChange();
    },
    service: {
      name: "grpc.health.v1.Health",
      methods: {
        Check: {
          kind: "unary",
          handle(request) {
            const name = decodeName(request);
            const status = statusOf(name);
            if (status === SERVICE_UNKNOWN)
              throw new AppError("not-found", `unknown service ${name}`);
            return encodeStatus(status);
          },
        },
        Watch: {
          kind: "server-stream",
          handle: (request, call) => watch(decodeName(request), call),
        },
      },
    },
  };
}

/** `HealthCheckRequest{1 service}` */
function decodeName(bytes: Uint8Array): string {
  try {
    const reader = new BinaryReader(bytes);
    let name = "";
    while (reader.pos < reader.len) {
      const [field, wireType] = reader.tag();
      if (field === 1 && wireType === WireType.LengthDelimited) name = reader.string();
      else reader.skip(wireType, field);
    }
    return name;
  } catch (error) {
    throw new AppError("bad-data", "cannot decode HealthCheckRequest", { cause: error });
  }
}

/** `HealthCheckResponse{1 status}` */
function encodeStatus(status: number): Uint8Array {
  return new BinaryWriter().tag(1, WireType.Varint).int32(status).finish();
}
