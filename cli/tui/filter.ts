/** What `/` leaves on the screen: rows that hold every word, in whatever case. */
export function matches(filter: string, words: readonly (string | null)[]): boolean {
  const text = words.join(" ").toLowerCase();
  return filter
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}
