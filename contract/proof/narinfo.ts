/** A narinfo, as far as choosing a path needs it: what Nix itself fetched is judged by its own store. */

export interface Narinfo {
  readonly storePath: string;
  /** Bytes, unpacked. */
  readonly narSize: number;
  /** Base names, the path itself left out. */
  readonly references: readonly string[];
  readonly signatures: readonly string[];
}

/** @returns undefined where it is none */
export function parseNarinfo(text: string): Narinfo | undefined {
  const values = (name: string): string[] =>
    [...text.matchAll(new RegExp(`^${name}: *(.*?)\\r?$`, "gm"))].map(([, value = ""]) => value.trim());
  const [storePath] = values("StorePath");
  const narSize = Number(values("NarSize")[0]);
  if (
    storePath === undefined ||
    !/^(?:\/[A-Za-z0-9+._-]+)+\/[a-z0-9]{32}-[A-Za-z0-9+._?=-]+$/.test(storePath) ||
    !Number.isSafeInteger(narSize) ||
    narSize < 0
  )
    return undefined;
  const own = storePath.slice(storePath.lastIndexOf("/") + 1);
  const references = (values("References")[0] ?? "").split(/\s+/).filter((name) => name !== "" && name !== own);
  return { storePath, narSize, references, signatures: values("Sig") };
}

/** The one that proves most cheaply: nothing else has to come with it, and it is small. */
export function cheapest(found: readonly Narinfo[]): Narinfo | undefined {
  return found.toSorted((a, b) => a.references.length - b.references.length || a.narSize - b.narSize)[0];
}
