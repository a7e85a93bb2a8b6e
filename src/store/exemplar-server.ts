import { AppError } from "../base/errors.ts";
import type { GrpcService } from "../grpc/service.ts";
import type { Labels } from "../model/labels.ts";
import type { Matcher } from "../model/matcher.ts";
import { parseExpression, WHOLE_LANGUAGE } from "../promql/parser.ts";
import { selectorsOf } from "../promql/selectors.ts";
import { decodeExemplarsRequest, encodeExemplarData } from "../proto/exemplars.ts";
import type { ExemplarRequest, SeriesExemplars } from "../storage/exemplars.ts";
import { changeLabels, matchExternalLabels } from "./external-labels.ts";

export interface ExemplarServiceOptions {
  readonly exemplars: (request: ExemplarRequest) => readonly SeriesExemplars[];
  /** Stand on every series that goes out. */
  readonly externalLabels: () => Labels;
  readonly ready: () => boolean;
}

/** Exemplars as `thanos.Exemplars` (docs/format/storeapi.md). */
export function createExemplarService(options: ExemplarServiceOptions): GrpcService {
  return {
    name: "thanos.Exemplars",
    methods: {
      Exemplars: {
        kind: "server-stream",
        handle(request) {
          if (!options.ready()) throw new AppError("unavailable", "the store is not ready yet");
          return answer(options, request);
        },
      },
    },
  };
}

async function* answer(
  options: ExemplarServiceOptions,
  bytes: Uint8Array,
): AsyncGenerator<Uint8Array> {
  const { query, startMs, endMs } = decodeExemplarsRequest(bytes);
  const external = options.externalLabels();
  const matcherSets: (readonly Matcher[])[] = [];
  for (const selector of selectorsOf(parseExpression(query, WHOLE_LANGUAGE))) {
    const matchers = matchExternalLabels(selector, external);
    if (matchers !== undefined) matcherSets.push(matchers);
  }
  const found = options.exemplars({ matcherSets, minTimeMs: startMs, maxTimeMs: endMs });
  for (const { labels, exemplars } of found)
    yield await Promise.resolve(
      encodeExemplarData({
        seriesLabels: [...changeLabels(labels, { external, without: new Set() })],
        exemplars: exemplars.map((one) => ({ ...one, labels: [...one.labels] })),
      }),
    );
}
