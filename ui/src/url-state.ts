import { useCallback, useSyncExternalStore } from "react";

/** The page's whole state is the address: what one person sees, another sees by the link. */

const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  window.addEventListener("popstate", listener);
  return () => {
    listeners.delete(listener);
    window.removeEventListener("popstate", listener);
  };
}

function notify(): void {
  for (const listener of listeners) listener();
}

export function usePath(): string {
  return useSyncExternalStore(subscribe, () => window.location.pathname);
}

/** Goes to `path` (with its query) as a new entry of the history. */
export function navigate(path: string): void {
  window.history.pushState(null, "", path);
  notify();
}

/** One parameter of the address. Setting the fallback removes it; `push` makes a step one can go back from. */
export function useUrlParameter(
  name: string,
  fallback: string,
): [string, (value: string, options?: { push?: boolean }) => void] {
  const search = useSyncExternalStore(subscribe, () => window.location.search);
  const value = new URLSearchParams(search).get(name) ?? fallback;
  const set = useCallback(
    (next: string, options: { push?: boolean } = {}) => {
      const parameters = new URLSearchParams(window.location.search);
      if (next === fallback) parameters.delete(name);
      else parameters.set(name, next);
      const text = parameters.toString();
      const url = `${window.location.pathname}${text === "" ? "" : `?${text}`}`;
      if (options.push === true) window.history.pushState(null, "", url);
      else window.history.replaceState(null, "", url);
      notify();
    },
    [name, fallback],
  );
  return [value, set];
}
