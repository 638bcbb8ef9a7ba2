/** Small pictures of figures, each legible without colour. */

const bars = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"] as const;

/**
 * The last of a trail as a line of bars, between the smallest and the largest of them; `×` where a proof failed.
 * @param most so many bars
 */
export function sparkline(trail: readonly (number | null)[], most: number): string {
  const shown = most <= 0 ? [] : trail.slice(-most);
  const values = shown.filter((value) => value !== null);
  const least = Math.min(...values);
  const range = Math.max(...values) - least;
  return shown
    .map((value) => {
      if (value === null) return "×";
      // All alike is the lowest bar: nothing happens here.
      return bars[range === 0 ? 0 : Math.round(((value - least) / range) * (bars.length - 1))];
    })
    .join("");
}

/** A share as a bar of so many cells. Only a whole share fills it, and only none leaves it empty. */
export function shareBar(share: number, cells: number): string {
  const exact = Math.round(share * cells);
  const full = share >= 1 ? cells : share <= 0 ? 0 : Math.min(cells - 1, Math.max(1, exact));
  return "█".repeat(full) + "░".repeat(cells - full);
}
