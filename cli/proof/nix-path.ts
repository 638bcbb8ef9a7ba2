/** Which store path to fetch: the one that was named, else one that this machine uses and the cache has. */
import { readdirSync } from "node:fs";
import type { Endpoint } from "../../contract/endpoint.ts";
import type { Environment } from "../../contract/environment.ts";
import { messageOf } from "../../contract/errors.ts";
import { signaturesBy } from "../../contract/proof/fingerprint.ts";
import { cheapest, type Narinfo, parseNarinfo } from "../../contract/proof/narinfo.ts";
import type { PathSeen } from "../../contract/proof/nix.ts";
import { printable } from "../../contract/text.ts";
import type { NixRun } from "./nix-run.ts";

/** How many paths the cache is asked for, so many at a time, and how many that it has are enough to choose from. */
const most = { asked: 256, atOnce: 8, found: 8 } as const;
const longestMs = 5000;
/** An unpacked path larger than this is not fetched unasked: bytes. */
const largest = 256 * 1_048_576;
const largestNarinfo = 65_536;

interface Cache {
  readonly endpoint: Endpoint;
  readonly publicKey: string;
  readonly storeDir: string;
}

/** @param evaluate prints the path of an installable, building nothing */
export async function namedPath(named: string, storeDir: string, evaluate: (installable: string) => Promise<NixRun>): Promise<PathSeen> {
  const own = baseOf(named, storeDir);
  if (own !== undefined) return { state: "chosen", path: own, by: "named" };
  const run = await evaluate(named);
  const path = baseOf(run.stdout.trim(), storeDir);
  if (run.exitCode === 0 && path !== undefined) return { state: "chosen", path, by: "named" };
  const why = run.exitCode === 0 ? `it evaluates to ${printable(run.stdout, 80) || "nothing"}` : run.said;
  return {
    state: "none",
    reason: `${printable(named, 120)} names no path of ${storeDir}: ${why}`,
    next: "flywheel proof --nix <store path>",
  };
}

/** The path itself, of a file within it too. */
function baseOf(text: string, storeDir: string): string | undefined {
  if (!text.startsWith(`${storeDir}/`)) return undefined;
  const [, base] = /^([a-z0-9]{32}-[A-Za-z0-9+._?=-]+)(?:\/.*)?$/.exec(text.slice(storeDir.length + 1)) ?? [];
  return base === undefined ? undefined : `${storeDir}/${base}`;
}

export async function foundPath(cache: Cache, env: Environment, signal: AbortSignal): Promise<PathSeen> {
  const { endpoint, storeDir } = cache;
  const candidates = candidatesOf(storeDir, env);
  const next = "name one that CI pushed: flywheel proof --nix <store path>";
  if (candidates.length === 0) return { state: "none", reason: `there is no path in ${storeDir} to ask ${endpoint.url} for`, next };
  const found: Narinfo[] = [];
  const without = new Map<string, number>();
  for (let at = 0; at < candidates.length && found.length < most.found && !signal.aborted; at += most.atOnce) {
    const asked = candidates.slice(at, at + most.atOnce).map((name) => ask(endpoint, name.slice(0, 32), signal));
    const answers = await Promise.all(asked);
    for (const answer of answers) {
      const fault = answer.state === "narinfo" ? unfit(answer.narinfo, cache) : answer.reason;
      if (answer.state === "narinfo" && fault === undefined) found.push(answer.narinfo);
      else without.set(fault ?? "", (without.get(fault ?? "") ?? 0) + 1);
    }
    // It went away: the others would only be waited for.
    if (answers.every(({ state }) => state === "silent")) break;
  }
  const chosen = cheapest(found);
  if (chosen !== undefined) return { state: "chosen", path: chosen.storePath, by: "found" };
  const told = [...without].map(([fault, times]) => `${times} × ${fault}`).join(", ");
  return { state: "none", reason: `${endpoint.url} gives none of the paths that this machine uses (${told})`, next };
}

/** Why a path that the cache has is not one to fetch; undefined where it is. */
function unfit({ storePath, narSize, signatures }: Narinfo, { publicKey, storeDir }: Cache): string | undefined {
  if (!storePath.startsWith(`${storeDir}/`)) return "of another store";
  if (narSize > largest) return "too large";
  return signaturesBy(publicKey, signatures).length === 0 ? "not signed by the attached key" : undefined;
}

/** What this shell speaks of first, as that of a devshell does, then whatever lies in the store. Nothing that is built from. */
function candidatesOf(storeDir: string, env: Environment): readonly string[] {
  const spoken = Object.values(env).flatMap((value) =>
    [...(value ?? "").matchAll(/\/([a-z0-9]{32}-[A-Za-z0-9+._?=-]+)/g)]
      .filter(({ index }) => value?.slice(0, index).endsWith(storeDir))
      .map(([, name = ""]) => name),
  );
  let stored: readonly string[] = [];
  try {
    stored = readdirSync(storeDir);
  } catch {
    // A store that nobody may list.
  }
  const usable = (name: string): boolean => /^[a-z0-9]{32}-/.test(name) && !/\.(?:drv|lock|chroot|patch)$|-source$/.test(name);
  return [...new Set([...spoken, ...stored])].filter(usable).slice(0, most.asked);
}

type Answer =
  | { readonly state: "narinfo"; readonly narinfo: Narinfo }
  /** It said no. */
  | { readonly state: "none"; readonly reason: string }
  /** It said nothing. */
  | { readonly state: "silent"; readonly reason: string };

async function ask({ url }: Endpoint, hash: string, signal: AbortSignal): Promise<Answer> {
  try {
    const answer = await fetch(`${url}/${hash}.narinfo`, { signal: AbortSignal.any([signal, AbortSignal.timeout(longestMs)]) });
    const text = await bounded(answer);
    if (answer.status !== 200) return { state: "none", reason: `HTTP ${answer.status}` };
    const narinfo = parseNarinfo(text);
    return narinfo === undefined ? { state: "none", reason: "no narinfo" } : { state: "narinfo", narinfo };
  } catch (error) {
    return { state: "silent", reason: messageOf(error) };
  }
}

/** What is longer is no narinfo. */
async function bounded({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body ?? []) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > largestNarinfo) break;
  }
  return Buffer.concat(chunks).toString("utf8");
}
