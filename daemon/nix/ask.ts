/**
 * Asks Nix's daemon itself what it takes from this user: a real client connects and names the cache, and beside it a
 * substituter that nobody lists. Whatever the daemon would not take it names in a warning as soon as it hears the
 * client's settings (tried on 2.8): nothing is built, substituted, or asked of any cache.
 */
import type { NixAnswer } from "../../contract/nix/trust.ts";
import { printable } from "../../contract/text.ts";
import { type NixPlace, nixVariables } from "./place.ts";

export type NixAsked =
  | { readonly state: "answered"; readonly answer: NixAnswer }
  /** It ran and failed: what it said. */
  | { readonly state: "failed"; readonly reason: string };

/** Reserved by RFC 2606, so that it is nobody's. */
const unlisted = "http://flywheel-asks.invalid";

/** Newest first. The answer of those with `--json` says outright whether the user is trusted (2.14 and newer). */
const spellings = [
  ["store", "info", "--json"],
  ["store", "ping", "--json"],
  ["store", "ping"],
] as const;

const longestMs = 10_000;
const largestOutput = 262_144;

/**
 * @param program Nix's own, never the shim
 * @param urls the cache's
 */
export async function askNixDaemon(program: string, place: NixPlace, urls: readonly string[]): Promise<NixAsked> {
  let last = "";
  for (const spelling of spellings) {
    const run = await runNix(program, place, [...spelling, "--extra-substituters", [...urls, unlisted].join(" ")]);
    if (run.ok) return { state: "answered", answer: answerOf(run.stdout, run.stderr, urls) };
    last = run.reason;
    if (!/unrecognised|not a recognised/.test(run.stderr)) break;
  }
  return { state: "failed", reason: last };
}

function answerOf(stdout: string, stderr: string, urls: readonly string[]): NixAnswer {
  const ignored = [...stderr.matchAll(/ignoring untrusted substituter '([^'\s]+)'/g)].map(([, url]) => url);
  return {
    trustedUser: trustedOf(stdout) ?? !ignored.includes(unlisted),
    ignored: urls.filter((url) => ignored.includes(url)),
  };
}

/** `"trusted": 1`, or `true`, among what `--json` prints. */
function trustedOf(stdout: string): boolean | undefined {
  try {
    const raw: unknown = JSON.parse(stdout);
    const trusted: unknown = typeof raw === "object" && raw !== null && "trusted" in raw ? raw.trusted : undefined;
    return trusted === true || trusted === 1 ? true : trusted === false || trusted === 0 ? false : undefined;
  } catch {
    return undefined;
  }
}

type Run =
  | { readonly ok: true; readonly stdout: string; readonly stderr: string }
  | { readonly ok: false; readonly reason: string; readonly stderr: string };

async function runNix(program: string, place: NixPlace, args: readonly string[]): Promise<Run> {
  // Only now: most daemons never need it.
  const { execa } = await import("execa");
  const own = Object.fromEntries(nixVariables.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])));
  const result = await execa(program, ["--extra-experimental-features", "nix-command", ...args, "--store", "daemon"], {
    cwd: "/",
    timeout: longestMs,
    maxBuffer: largestOutput,
    stdin: "ignore",
    extendEnv: false,
    reject: false,
    env: {
      ...own,
      NIX_DAEMON_SOCKET_PATH: place.socket,
      // The user's own substituters are none of this question, and a mistake in their nix.conf no answer to it.
      NIX_USER_CONF_FILES: "/dev/null",
      HOME: process.env["HOME"] ?? "/",
      PATH: "/usr/bin:/bin",
      LANG: "C.UTF-8",
    },
  });
  const stderr = printable(result.stderr.replaceAll(/\s+/g, " "), largestOutput);
  if (result.exitCode === 0) return { ok: true, stdout: result.stdout, stderr };
  const said = /error: (.*)$/.exec(stderr)?.[1] ?? stderr;
  return { ok: false, stderr, reason: result.timedOut ? `it did not answer within ${longestMs / 1000} s` : printable(said, 300).trim() };
}
