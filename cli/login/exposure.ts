import type { Stats } from "node:fs";

/** Why somebody else could read a file, as ssh judges private keys; undefined where nobody can. */
export function exposure({ uid, mode }: Stats): string | undefined {
  if (uid !== process.geteuid?.()) return `it belongs to another user (uid ${uid})`;
  return (mode & 0o077) === 0 ? undefined : `others may read it (mode 0${(mode & 0o777).toString(8)})`;
}
