/** What must hold after each fault. Pure: observations and the model in, violations out. */
import { lease, leaseFault, type Published } from "../../contract/published.ts";
import { grace, isEmpty, type Model, type Moment } from "./model.ts";
import type { Dial } from "./relay.ts";

export type Invariant =
  /** What is published and may be believed was proved within a lease. */
  | "published"
  /** A heavy command in scope only ever ran with a permitted cache that was proved within a lease. */
  | "unguarded"
  /** None was refused while a permitted cache was well and proved within the last lease. */
  | "refused"
  /** Nothing was dialled that nobody permitted. */
  | "dialled"
  /** The daemon is alive, or the next command restarts it; it never ends of itself. */
  | "daemon"
  /** No command took longer than it may. */
  | "hung"
  /** Exit codes, a silent stdout, and a refusal that says why. */
  | "manners";

export const invariants: readonly Invariant[] = ["published", "unguarded", "refused", "dialled", "daemon", "hung", "manners"];

export interface Violation {
  readonly invariant: Invariant;
  readonly what: string;
}

export interface Run {
  readonly began: Moment;
  readonly ended: Moment;
  /** undefined: it had to be killed. */
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  readonly tookMs: number;
}

export interface GuardRun extends Run {
  /** The words that the tool behind the shim got; undefined where it did not run. */
  readonly words: readonly string[] | undefined;
}

/** Milliseconds. The guard's is that of test/fixtures/guarded.ts; the others may start a daemon and let it climb every ladder. */
export const longest = { guard: 10_000, command: 20_000 } as const;

/** @param writerLives the daemon that wrote it still runs, so that it could take it back */
export function checkPublished(published: Published, seen: Moment, model: Model, writerLives: boolean): readonly Violation[] {
  const fault = leaseFault(published, { source: "boot", bootId: seen.bootId, seconds: seen.seconds });
  const { endpoint, verified } = published;
  if (fault !== undefined || endpoint === undefined) return [];
  const violation = (what: string): readonly Violation[] => [{ invariant: "published", what: `published is ${endpoint.url}, ${what}` }];
  if (published.validUntil - verified > lease.span) return violation(`for ${published.validUntil - verified} s, longer than a lease`);
  const couldTakeBack = writerLives && model.awake.value && model.able.heldSince(seen.at - grace.renewal);
  if (couldTakeBack && !model.permits(endpoint.host, seen.at))
    return violation("although the daemon has had time to learn that nobody permits it");
  // The proof that it speaks of: answered after it was begun, and not in the future.
  if (model.provedWithin(endpoint.url, seen, seen.seconds - verified) !== undefined) return [];
  return violation(`verified ${seen.seconds - verified} s ago, and it answered no permitted probe since`);
}

export function checkGuard(run: GuardRun, model: Model): readonly Violation[] {
  const found: Violation[] = [];
  const violate = (invariant: Invariant, what: string): void => {
    found.push({ invariant, what: `${what}; exit ${run.exitCode}, ${Math.round(run.tookMs)} ms, stderr: ${run.stderr || "none"}` });
  };
  if (run.exitCode === undefined || run.tookMs > longest.guard) violate("hung", "a guarded command took too long");
  if (run.exitCode === undefined) return found;
  if (run.stdout !== "") violate("manners", `it wrote to stdout: ${JSON.stringify(run.stdout)}`);
  if (run.words === undefined) {
    if (run.exitCode !== 78) violate("manners", "it did not run the tool, and its exit code is not 78");
    if (!/^flywheel: refused bazel (?:build|test): \S.*\n(?: {2}\w+: .*\n)*$/.test(run.stderr))
      violate("manners", "a refusal without its form");
    const reason = model.oughtToRun(run.began, run.ended);
    if (reason !== undefined) violate("refused", `it was refused, although ${reason}`);
    return found;
  }
  if (run.exitCode !== 0) violate("manners", "the tool's exit code was 0");
  const caches = run.words.filter((word) => word.startsWith("--remote_cache=")).map((word) => word.slice("--remote_cache=".length));
  const url = caches.at(-1);
  if (url === undefined) violate("unguarded", `the tool ran with no cache: ${run.words.join(" ")}`);
  else if (model.provedWithin(url, run.ended, lease.span + 1 + run.ended.seconds - run.began.seconds) === undefined) {
    violate("unguarded", `the tool ran with ${url}, which answered no permitted probe within a lease`);
  }
  for (const flag of ["--remote_accept_cached", "--remote_upload_local_results=false", "--remote_executor="]) {
    if (!run.words.includes(flag)) violate("unguarded", `the tool ran without ${flag}`);
  }
  return found;
}

/** Of commands that are not guarded. @param codes those it may exit with */
export function checkCommand(name: string, run: Run, codes: readonly number[]): readonly Violation[] {
  if (run.exitCode === undefined || run.tookMs > longest.command) {
    return [{ invariant: "hung", what: `${name} took ${Math.round(run.tookMs)} ms: ${run.stderr}` }];
  }
  if (codes.includes(run.exitCode)) return [];
  return [{ invariant: "manners", what: `${name} exited with ${run.exitCode}: ${run.stderr}` }];
}

export function checkDials(dials: readonly Dial[], model: Model): readonly Violation[] {
  return dials
    .filter((dial) => !model.permits(dial.host, dial.at))
    .map((dial) => ({
      invariant: "dialled",
      what: `${dial.host}:${dial.port} was dialled, and nobody permits it${isEmpty(dial.host) ? " any more" : ""}`,
    }));
}

export interface Daemons {
  /** Processes that were daemons after the step before, and after the one before that. */
  readonly settled: readonly number[];
  readonly now: readonly number[];
  /** Those that a fault, or its consequence, ends. */
  readonly doomed: ReadonlySet<number>;
  /** Doomed ones that had time enough to end. */
  readonly overdue: readonly number[];
  /** A daemon answers; undefined: nobody asked. */
  readonly answers: boolean | undefined;
  /** What the log says of defects. */
  readonly defects: readonly string[];
}

export function checkDaemon(daemons: Daemons, began: Moment, model: Model): readonly Violation[] {
  const found: Violation[] = [];
  const violate = (what: string): void => {
    found.push({ invariant: "daemon", what });
  };
  for (const pid of daemons.settled) {
    if (!daemons.now.includes(pid) && !daemons.doomed.has(pid)) violate(`the daemon (pid ${pid}) ended of itself`);
  }
  for (const pid of daemons.overdue) violate(`the daemon (pid ${pid}) should have ended and did not`);
  for (const defect of daemons.defects) violate(`the daemon's log: ${defect}`);
  if (daemons.answers === false && model.able.heldSince(began.at) && model.awake.heldSince(began.at)) {
    violate("a command that needs the daemon has run, and none answers");
  }
  return found;
}
