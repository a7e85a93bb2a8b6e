/**
 * Does `act` every `periodMs`, one after the other, without keeping the process alive. The result ends that, and resolves
 * when nothing is under way any more. `act` handles its errors.
 */
export function repeatInBackground(
  periodMs: number,
  act: () => Promise<void>,
): () => Promise<void> {
  let underWay: Promise<void> | undefined;
  const timer = setInterval(() => {
    underWay ??= act().finally(() => (underWay = undefined));
  }, periodMs);
  timer.unref();
  return async () => {
    clearInterval(timer);
    await underWay;
  };
}
