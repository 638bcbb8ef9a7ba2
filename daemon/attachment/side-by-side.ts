/** Runs work on all items at once, but for at most `bound` of them at a time. The work must not throw. */
export async function sideBySide<T>(items: readonly T[], bound: number, work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const lane = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(bound, items.length) }, lane));
}
