/** A node:test reporter that ends a run with the failures in full and one plain line of counts. */
import type { TestEvent } from "node:test/reporters";

export async function* summary(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  for await (const event of source) {
    if (event.type === "test:pass" && event.data.details.type !== "suite") {
      if (event.data.skip === undefined) passed++;
      else {
        skipped++;
        yield `skip  ${event.data.name}: ${String(event.data.skip)}\n`;
      }
    } else if (event.type === "test:fail") {
      const { error, type } = event.data.details;
      // A suite fails with its tests, which are told themselves, or because its set-up did.
      if (type === "suite" && !("failureType" in error && error.failureType === "hookFailed"))
        continue;
      failed++;
      const cause =
        error.cause instanceof Error
          ? (error.cause.stack ?? error.cause.message)
          : String(error.cause ?? error);
      yield `\nFAIL  ${event.data.file ?? ""}:${event.data.line ?? 0} ${event.data.name}\n${cause}\n`;
    } else if (event.type === "test:stderr" || event.type === "test:stdout") {
      yield event.data.message;
    }
  }
  yield `\n${passed} passed, ${failed} failed, ${skipped} skipped\n`;
}

// node:test loads a reporter by its default export; it knows no other way.
export { summary as default };
