/** What a gRPC server serves: services with methods over bytes; encoding is the handler's business. */
export interface GrpcService {
  /** The full name with its package: `thanos.Store`. */
  readonly name: string;
  readonly methods: Readonly<Record<string, GrpcMethod>>;
}

export type GrpcMethod = UnaryMethod | ServerStreamMethod | BidiMethod;

export interface UnaryMethod {
  readonly kind: "unary";
  handle(request: Uint8Array, call: CallContext): Promise<Uint8Array> | Uint8Array;
}

export interface ServerStreamMethod {
  readonly kind: "server-stream";
  /** Yielded bytes are copied: they may be used again from the next pull on. */
  handle(request: Uint8Array, call: CallContext): AsyncIterable<Uint8Array>;
}

export interface BidiMethod {
  readonly kind: "bidi";
  handle(requests: AsyncIterable<Uint8Array>, call: CallContext): AsyncIterable<Uint8Array>;
}

export interface CallContext {
  /** `/thanos.Store/Series` */
  readonly path: string;
  /** Request headers, names in lower case. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Aborts when the client leaves, the deadline passes or the server stops. */
  readonly signal: AbortSignal;
  /** Milliseconds the client grants from the start of the call; undefined without a deadline. */
  readonly timeoutMs: number | undefined;
  /** `address:port` of the client. */
  readonly peer: string;
  /** Subject common name of the client's certificate, when it showed a verified one. */
  readonly clientName: string | undefined;
}
