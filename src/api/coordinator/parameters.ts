import { AppError } from "../../base/errors.ts";

export function numberParameter(parameters: URLSearchParams, name: string): number | undefined {
  const text = parameters.get(name) ?? "";
  if (text === "") return undefined;
  if (!/^\d{1,15}$/.test(text))
    throw new AppError("bad-data", `cannot read parameter ${name}: it must be a whole number`);
  return Number(text);
}

export function oneOf<T extends string>(
  parameters: URLSearchParams,
  name: string,
  allowed: readonly T[],
): T {
  const text = parameters.get(name) ?? "";
  const found = allowed.find((each) => each === text.toLowerCase());
  if (found === undefined)
    throw new AppError(
      "bad-data",
      `cannot read parameter ${name}: it must be one of ${allowed.filter((each) => each !== "").join(", ")}`,
    );
  return found;
}
