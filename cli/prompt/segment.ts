/** One short segment about the attachment, from the published files alone: asks nobody, starts nothing, waits for nothing. */
import { type Endpoint, isAddress, type Tool } from "../../contract/endpoint.ts";
import type { Environment } from "../../contract/environment.ts";
import { FlywheelError } from "../../contract/errors.ts";
import type { Paths } from "../../contract/paths.ts";
import { printable } from "../../contract/text.ts";
import { readClock } from "../../daemon/api/client/clock.ts";
import { type PublishedReading, readPublished } from "../../daemon/api/client/published.ts";
import { percent, type Style, type Word, wordOfState } from "./style.ts";

export const defaultSymbol = "⚙";

/** What stands for what behind a `%` of `--format`. */
export const placeholders = {
  i: "the symbol",
  s: "the word for Bazel",
  n: "the word for Nix",
  h: "the Bazel cache's host, by its short name where it has one",
  e: "the Bazel cache's host as published",
  p: "the profile",
} as const satisfies Readonly<Record<string, string>>;
type Placeholder = keyof typeof placeholders;

export interface Segment {
  readonly profile: string;
  readonly bazel: Word;
  readonly nix: Word;
  /** Of Bazel's cache, as published and by its short name; empty where none is attached. */
  readonly host: string;
  readonly name: string;
}

export function readSegment(paths: Paths, profile: string, env: Environment): Segment {
  const escapes = /\S/.test(env["GF_GUARD_BYPASS"] ?? "");
  const now = readClock();
  const bazel = readPublished(paths, profile, "bazel", now);
  const nix = readPublished(paths, profile, "nix", now);
  const word = escapes ? "escape" : wordOf(bazel, "bazel");
  const endpoint = bazel.state === "live" && !escapes ? bazel.published.endpoint : undefined;
  return {
    profile,
    bazel: word,
    nix: escapes ? "escape" : wordOf(nix, "nix"),
    host: endpoint?.host ?? "",
    name: endpoint === undefined || bazel.state !== "live" ? "" : shortName([endpoint, ...bazel.published.aliases]),
  };
}

function wordOf(reading: PublishedReading, kind: Tool): Word {
  switch (reading.state) {
    case "absent":
    case "stale":
      return "unattached";
    case "unbelievable":
      return "unknown";
    case "live":
      // Without its terms the guard attaches no Nix cache.
      if (kind === "nix" && reading.published.nix === undefined) return "unattached";
      return wordOfState[reading.published.state];
  }
}

/** The first label of the first name; the address where there is none. */
function shortName(endpoints: readonly Endpoint[]): string {
  const named = endpoints.find(({ host }) => !isAddress(host));
  return named?.host.split(".")[0] ?? endpoints[0]?.host ?? "";
}

export interface Look {
  /** undefined: the usual one. */
  readonly format: string | undefined;
  readonly symbol: string;
  readonly style: Style | undefined;
}

/**
 * The segment as text, without its colour.
 * @param nixHere whether this machine has a Nix: the usual format says nothing of it elsewhere
 * @throws FlywheelError `usage` where the format has a placeholder that there is not
 */
export function segmentText(segment: Segment, look: Look, nixHere: boolean): string {
  if (look.format !== undefined) return expand(look.format, segment, look);
  const words = [look.symbol, segment.bazel, segment.name].filter((word) => word !== "").join(" ");
  return nixHere && segment.nix !== segment.bazel ? `${words}, nix ${segment.nix}` : words;
}

function expand(format: string, segment: Segment, { symbol, style }: Look): string {
  const values: Readonly<Record<Placeholder, string>> = {
    i: symbol,
    s: segment.bazel,
    n: segment.nix,
    h: segment.name,
    e: segment.host,
    p: segment.profile,
  };
  return format.replaceAll(/%(.?)/gs, (_, letter: string) => {
    if (letter === "%") return percent(style);
    if (isPlaceholder(letter)) return values[letter];
    throw new FlywheelError("usage", `--format: %${printable(letter, 4)} stands for nothing`, {
      next: `use ${Object.keys(placeholders)
        .map((each) => `%${each}`)
        .join(", ")}, and %% for a percent sign`,
    });
  });
}

function isPlaceholder(letter: string): letter is Placeholder {
  return Object.hasOwn(placeholders, letter);
}
