import { refuseEarly } from "./read-ahead.ts";
import { type QueryContext, type Row, RowCopies, type VectorOperator } from "./row.ts";

/** Rows that somebody owns, who owes the budget `samples` when he lets go of them. */
export interface CollectedRows {
  readonly rows: Row[];
  readonly samples: number;
}

/** All rows of `operator` that have points, copied, with visible labels. Too many are refused before the first, if that can be told. */
export async function collect(
  operator: VectorOperator,
  query: QueryContext,
): Promise<CollectedRows> {
  await refuseEarly(operator, query);
  return collectRows(operator, query);
}

/** As `collect`, of two operators. */
export async function collectBoth(
  operators: { left: VectorOperator; right: VectorOperator },
  query: QueryContext,
): Promise<{ left: CollectedRows; right: CollectedRows }> {
  await refuseEarly(operators.left, query);
  await refuseEarly(operators.right, query);
  const left = await collectRows(operators.left, query);
  return { left, right: await collectRows(operators.right, query) };
}

async function collectRows(operator: VectorOperator, query: QueryContext): Promise<CollectedRows> {
  const rows: Row[] = [];
  const copies = new RowCopies(query);
  await operator.stream(query, (row) => {
    const copy = copies.of(row);
    if (copy !== undefined) rows.push(copy);
  });
  return { rows, samples: copies.samples };
}
