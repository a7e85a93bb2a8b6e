import type { SecureVersion } from "node:tls";

/** PEM texts of a server; with `clientCa` every client must show a certificate it signed (mutual TLS). */
export interface ServerTls {
  readonly cert: string;
  readonly key: string;
  readonly clientCa?: string;
  /** Default TLSv1.3, as Thanos. */
  readonly minVersion?: SecureVersion;
}

/** PEM texts of a client. */
export interface ClientTls {
  /** Authorities that may have signed the server's certificate. Default: the system's. */
  readonly ca?: string;
  /** The client's own certificate and key, for mutual TLS. */
  readonly cert?: string;
  readonly key?: string;
  /** Name to expect in the server's certificate instead of the address's host. */
  readonly serverName?: string;
  /** Accepts any certificate. Default false. */
  readonly insecureSkipVerify?: boolean;
  /** Default TLSv1.3. */
  readonly minVersion?: SecureVersion;
}

export const DEFAULT_MIN_TLS_VERSION: SecureVersion = "TLSv1.3";
