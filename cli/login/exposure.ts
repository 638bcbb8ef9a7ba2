import type { Stats } from "node:fs";
import { typed } from "../../contract/quote.ts";

/** Why somebody else could read a file, as ssh judges private keys; undefined where nobody can. */
export function exposure({ uid, mode }: Stats): string | undefined {
  if (uid !== process.geteuid?.()) return `it belongs to another user (uid ${uid})`;
  return (mode & 0o077) === 0 ? undefined : `others may read it (mode 0${(mode & 0o777).toString(8)})`;
}

/** What whoever wants to use such a file can do about it: another user's mode is not theirs to change. */
export function closing(file: string, { uid }: Stats): string {
  const own = process.geteuid?.() ?? 0;
  return uid === own ? `chmod 600 ${typed(file)}` : `use a file of your own (0600), or: sudo chown ${own} ${typed(file)}`;
}
