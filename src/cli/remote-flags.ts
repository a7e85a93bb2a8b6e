import { AppError } from "../base/errors.ts";
import { MAX_DECODED_BYTES, MAX_SERIES, WRITE_V1, WRITE_V2 } from "../remote/write-receiver.ts";
import { listFlag, numberFlag, sizeFlag, switchFlag } from "./flags.ts";

// Prometheus's flags of remote write and remote read, and limits of our own beside them.

const RECEIVER_SWITCHES = {
  enableWriteReceiver: switchFlag({
    name: "web.enable-remote-write-receiver",
    help: "Take samples by remote write at /api/v1/write.",
  }),
  enableOtlpReceiver: switchFlag({
    name: "web.enable-otlp-receiver",
    help: "Take OpenTelemetry's metrics (OTLP over HTTP) at /api/v1/otlp/v1/metrics.",
  }),
} as const;

const REQUEST_LIMITS = {
  writeMaxBodySize: sizeFlag(
    {
      name: "web.remote-write-receiver.max-body-size",
      help: "Largest write request as sent; larger ones are refused with 413.",
    },
    "32MB",
  ),
  writeMaxRequests: numberFlag(
    {
      name: "web.remote-write-receiver.max-requests",
      help: "Write requests served at the same time; senders of further ones are told to come again.",
    },
    { fallback: 64, min: 1 },
  ),
} as const;

/** Of what keeps what is written. */
export const WRITE_RECEIVER_FLAGS = {
  ...RECEIVER_SWITCHES,
  acceptedMessages: {
    ...listFlag({
      name: "web.remote-write-receiver.accepted-protobuf-messages",
      value: "name",
      help: "Messages that are taken. May be repeated.",
    }),
    fallback: [WRITE_V1, WRITE_V2],
    parse(text: string): readonly string[] {
      const names = text.split(",").filter((name) => name !== "");
      const unknown = names.find((name) => name !== WRITE_V1 && name !== WRITE_V2);
      if (unknown !== undefined)
        throw new AppError("bad-data", `${unknown} is neither ${WRITE_V1} nor ${WRITE_V2}`);
      return names;
    },
  },
  ...REQUEST_LIMITS,
  writeMaxDecodedSize: sizeFlag(
    {
      name: "web.remote-write-receiver.max-decoded-size",
      help: "Largest write request when unpacked.",
    },
    `${MAX_DECODED_BYTES}B`,
  ),
  writeMaxSeries: numberFlag(
    { name: "web.remote-write-receiver.max-series", help: "Most series in one write request." },
    { fallback: MAX_SERIES, min: 1 },
  ),
} as const;

/** Of what passes it on to shards. */
export const WRITE_PASSING_FLAGS = { ...RECEIVER_SWITCHES, ...REQUEST_LIMITS } as const;

export const REMOTE_READ_FLAGS = {
  readSampleLimit: numberFlag(
    {
      name: "storage.remote.read-sample-limit",
      help: "Most samples in an answer to remote read that is not streamed. 0: no limit.",
    },
    { fallback: 50_000_000, min: 0 },
  ),
  readConcurrentLimit: numberFlag(
    {
      name: "storage.remote.read-concurrent-limit",
      help: "Remote reads answered at the same time; further ones wait.",
    },
    { fallback: 10, min: 1 },
  ),
  readMaxBytesInFrame: numberFlag(
    {
      name: "storage.remote.read-max-bytes-in-frame",
      help: "About how many bytes a frame of a streamed answer to remote read has.",
    },
    { fallback: 1_048_576, min: 1 },
  ),
} as const;
