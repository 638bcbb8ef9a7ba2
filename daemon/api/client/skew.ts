/**
 * Two versions on one machine: an upgrade, or two checkouts. The newer daemon stays or takes over, so that
 * whatever is called in which order, it comes to rest with the newest, and never goes to and fro.
 */
import { apiVersion, type Hello } from "../../../contract/api.ts";
import { version } from "../../../contract/version.ts";

export type Skew =
  /** Usable as it is. */
  | "fits"
  /** Older than this flywheel, whose own daemon takes its place. */
  | "older"
  /** Newer than this flywheel, and not to be understood. */
  | "too-new";

/** @param other a running daemon's hello */
export function skewOf(other: Pick<Hello, "api" | "version">): Skew {
  if (other.api > apiVersion) return "too-new";
  return other.api < apiVersion || isNewer(version, other.version) ? "older" : "fits";
}

/**
 * Whether one version is newer than another: by its numbers alone, so that two builds of one version, and whatever is no version,
 * are left in peace.
 */
export function isNewer(one: string, than: string): boolean {
  const ours = numbers(one);
  const theirs = numbers(than);
  if (ours === undefined || theirs === undefined) return false;
  const at = ours.findIndex((number, index) => number !== theirs[index]);
  return at !== -1 && (ours[at] ?? 0) > (theirs[at] ?? 0);
}

/** Major, minor and patch. */
function numbers(text: string): readonly number[] | undefined {
  const [, ...parts] = /^(\d{1,9})\.(\d{1,9})\.(\d{1,9})(?:[-+].*)?$/.exec(text) ?? [];
  return parts.length === 3 ? parts.map(Number) : undefined;
}

/** `flywheel 0.2.0 (/opt/…/flywheeld.js)`. */
export function describeHello(hello: Hello): string {
  return `flywheel ${hello.version}${hello.entry === "" ? "" : ` (${hello.entry})`}`;
}

/** What helps against a daemon whose answers are not to be understood. */
export function nextOf(hello: Hello): string {
  if (skewOf(hello) === "older") return "flywheel up, which replaces it";
  return "call that newer flywheel, or upgrade this one; flywheel down stops the daemon";
}
