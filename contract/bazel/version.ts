/** A Bazel's version, as far as anything depends on it. */
export interface BazelVersion {
  readonly major: number;
  readonly minor: number;
  readonly text: string;
}

/** @returns undefined for what names no release: `latest`, a commit, a fork, `no_version` */
export function parseBazelVersion(text: string): BazelVersion | undefined {
  const match = /^(\d{1,3})(?:\.(\d{1,3})(?:\.\d{1,3}[0-9A-Za-z.+-]{0,32})?)?$/.exec(text.trim());
  return match === null ? undefined : { major: Number(match[1]), minor: Number(match[2] ?? 0), text: text.trim() };
}

export function isAtLeast({ major, minor }: BazelVersion, [leastMajor, leastMinor]: readonly [number, number]): boolean {
  return major > leastMajor || (major === leastMajor && minor >= leastMinor);
}
