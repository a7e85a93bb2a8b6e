import { useEffect, useRef } from "react";
import type { Decision } from "../api.ts";

/** Chips on their way at once; a rebalancing of hundreds would only be a swarm. */
const CHIPS_MAX = 12;
const TRAVEL_MS = 1400;

/** Decisions that put a target somewhere else. */
const TRAVELS = new Set(["assign", "move", "rehome", "rollback"]);

/**
 * Lets a chip travel between shard cards for each new decision that places or moves a target. Only what is decided while
 * the page is open is shown; nothing moves for those who asked their system for less motion.
 */
export function TravellingChips({ decisions }: { decisions: readonly Decision[] | undefined }) {
  const seen = useRef<number | undefined>(undefined);
  useEffect(() => {
    if (decisions === undefined) return;
    const before = seen.current;
    seen.current = decisions.at(-1)?.id ?? before ?? 0;
    if (before === undefined || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    const fresh = decisions.filter(({ id, kind, to }) => id > before && TRAVELS.has(kind) && to);
    for (const [index, decision] of fresh.slice(-CHIPS_MAX).entries()) travel(decision, index);
  }, [decisions]);
  return null;
}

function cardOf(shard: string | undefined): DOMRect | undefined {
  if (shard === undefined) return undefined;
  return document.querySelector(`[data-shard="${CSS.escape(shard)}"]`)?.getBoundingClientRect();
}

function travel({ url, from, to }: Decision, index: number): void {
  const end = cardOf(to);
  if (end === undefined) return;
  // A new target comes in from above.
  const start = cardOf(from) ?? new DOMRect(end.x, -40, end.width, 40);
  const chip = document.createElement("div");
  chip.className = "travelling-chip";
  chip.setAttribute("aria-hidden", "true");
  chip.textContent = url ?? "";
  document.body.append(chip);
  const place = ({ x, y, width, height }: DOMRect): string =>
    `translate(${x + width / 2 - chip.offsetWidth / 2}px, ${y + height / 2}px)`;
  const animation = chip.animate(
    [
      { transform: `${place(start)} scale(0.8)`, opacity: 0 },
      { transform: `${place(start)} scale(1)`, opacity: 1, offset: 0.15 },
      { transform: `${place(end)} scale(1)`, opacity: 1, offset: 0.85 },
      { transform: `${place(end)} scale(0.8)`, opacity: 0 },
    ],
    { duration: TRAVEL_MS, delay: index * 120, easing: "ease-in-out", fill: "both" },
  );
  animation.onfinish = () => chip.remove();
  animation.oncancel = () => chip.remove();
}
