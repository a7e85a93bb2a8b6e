/** This program's version, the same as package.json's. */
export const VERSION = "0.1.0";

/** The Prometheus whose API, query language and configuration this version speaks; clients decide features by it. */
export const COMPATIBLE_PROMETHEUS_VERSION = "3.14.0";
