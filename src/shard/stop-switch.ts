import type { Logger } from "../base/logger.ts";
import type { Decision } from "./plan-types.ts";
import type { ShardRecord } from "./shard-record.ts";
import { type StopOrder, timeText } from "./wire.ts";

/** Shards that a condition names. */
const PENDING_SHOWN = 10;

/**
 * The emergency switch of all shards. The last order is kept by the shards themselves, so it outlives this coordinator:
 *
 *     set ─► order ─► every shard that answers and has an older one, in each cycle: new ones and returned ones too
 *              ▲
 *              └── a later order that a shard tells of (from the coordinator before this one)
 */
export class StopSwitch {
  readonly #logger: Logger;
  #order: StopOrder | undefined;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Undefined when no order was ever given. */
  get order(): StopOrder | undefined {
    return this.#order;
  }

  /** Whether targets may be tried from here: not while all is stopped, or no shard has told whether it is. */
  allowsTests(records: readonly ShardRecord[]): boolean {
    const isKnown = records.length === 0 || records.some(({ answers }) => answers);
    return isKnown && (this.#order?.reason ?? "") === "";
  }

  /** A new order; "" scrapes again. It is later than the known one, whatever the clock says. */
  set(reason: string, nowMs: number): void {
    this.#order = { reason, sinceMs: Math.max(nowMs, (this.#order?.sinceMs ?? 0) + 1) };
  }

  /** Learns from the shards' last answers and brings the order to those that lack it. Never rejects. */
  async enforce(records: readonly ShardRecord[], epoch: number): Promise<void> {
    for (const { runtime } of records)
      if (runtime?.stopOrder !== undefined && isLater(runtime.stopOrder, this.#order))
        this.#order = runtime.stopOrder;
    const order = this.#order;
    if (order === undefined) return;
    const late = records.filter((record) => record.answers && lacks(record, order));
    await Promise.all(
      late.map(async (record) => {
        try {
          await record.pushStop(order, epoch);
        } catch (error) {
          const shard = record.instance.id;
          this.#logger.warn("cannot tell a shard to stop or go on", { shard, error });
        }
      }),
    );
  }

  /** Shards that do not know the order yet. */
  pending(records: readonly ShardRecord[]): string[] {
    const order = this.#order;
    if (order === undefined) return [];
    return records.flatMap((record) => (lacks(record, order) ? [record.instance.id] : []));
  }

  /** What stands: all shards are stopped, or some are by themselves. */
  conditions(records: readonly ShardRecord[]): Decision[] {
    const order = this.#order;
    if (order !== undefined && order.reason !== "") {
      const pending = this.pending(records);
      const shown = pending.slice(0, PENDING_SHOWN).join(", ");
      const more =
        pending.length > PENDING_SHOWN ? ` and ${pending.length - PENDING_SHOWN} more` : "";
      const rest = pending.length === 0 ? "" : `; not yet told: ${shown}${more}`;
      const reason = `nothing is scraped since ${timeText(order.sinceMs)}: ${order.reason}${rest}`;
      return [{ kind: "stop", reason }];
    }
    return records.flatMap(({ instance, runtime }) =>
      runtime === undefined || runtime.stopReason === ""
        ? []
        : [
            {
              kind: "stop",
              from: instance.id,
              reason: `it scrapes nothing: ${runtime.stopReason}`,
            },
          ],
    );
  }
}

function lacks({ runtime }: ShardRecord, order: StopOrder): boolean {
  return isLater(order, runtime?.stopOrder);
}

function isLater(order: StopOrder, than: StopOrder | undefined): boolean {
  return than === undefined || order.sinceMs > than.sinceMs;
}
