/** Asks for secrets in a process of its own, which lives no longer than that takes: `flywheeld secrets`. */
import { spawn } from "node:child_process";
import * as v from "valibot";
import type { Credential } from "../../contract/credential.ts";
import { readCredential } from "../../contract/credential-wire.ts";
import type { Paths } from "../../contract/paths.ts";
import { printable } from "../../contract/text.ts";
import { nodeFlags, ownEntry, programEnvironment } from "../api/client/program.ts";

/** Of the child, one JSON line each. */
const readSecret = v.variant("ok", [
  /** `credential`: contract/credential-wire.ts. */
  v.strictObject({ generation: v.string(), ok: v.literal(true), credential: v.string() }),
  v.strictObject({ generation: v.string(), ok: v.literal(false), reason: v.string(), next: v.nullable(v.string()) }),
]);
export type ReadSecret = v.InferOutput<typeof readSecret>;

export type Secrets = ReadonlyMap<
  string,
  { readonly credential: Credential } | { readonly reason: string; readonly next: string | undefined }
>;

/** The keyring is given 60 s for whoever types its password (keyring.ts); after these the child is ended: milliseconds. */
const patience = 65_000;
/** No more is read of it: characters. */
const longest = 4 * 1_048_576;

export interface AskSecrets {
  readonly paths: Paths;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly generations: readonly string[];
  readonly signal: AbortSignal;
  /** Milliseconds; `patience` unless told. */
  readonly timeoutMs?: number;
}

/** @returns one for each generation: where the child did not tell, why. Never throws. */
export async function askSecrets({ paths, env, generations, signal, timeoutMs }: AskSecrets): Promise<Secrets> {
  const limit = timeoutMs ?? patience;
  const { lines, end } = await run({ paths, env, generations, signal, timeoutMs: limit });
  const secrets = new Map(lines.flatMap((line) => parse(line) ?? []));
  const reason = `the process that reads it ${end}`;
  for (const generation of generations) if (!secrets.has(generation)) secrets.set(generation, { reason, next: "flywheel up" });
  return secrets;
}

type Told = Secrets extends ReadonlyMap<string, infer T> ? T : never;

function parse(line: string): readonly (readonly [string, Told])[] | undefined {
  try {
    const told = v.safeParse(readSecret, JSON.parse(line));
    if (!told.success) return undefined;
    const { output } = told;
    if (output.ok) return [[output.generation, { credential: readCredential(output.credential) }]];
    return [[output.generation, { reason: printable(output.reason, 300), next: output.next ?? undefined }]];
  } catch {
    // Cut off, or nothing of ours; its text may be a secret, and is not repeated.
    return undefined;
  }
}

function run(ask: Required<AskSecrets>): Promise<{ readonly lines: readonly string[]; readonly end: string }> {
  const { paths, env, generations, signal, timeoutMs } = ask;
  const { promise, resolve } = Promise.withResolvers<{ lines: readonly string[]; end: string }>();
  const child = spawn(process.execPath, [...nodeFlags, ownEntry, "secrets"], {
    cwd: "/",
    stdio: ["pipe", "pipe", "ignore"],
    env: programEnvironment(paths, env),
    // A keyring's client may hang where no signal reaches it but this one.
    killSignal: "SIGKILL",
    signal,
  });
  let text = "";
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill("SIGKILL");
  }, timeoutMs);
  const done = (end: string): void => {
    clearTimeout(timer);
    resolve({ lines: text.split("\n").filter((line) => line !== ""), end });
  };
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    if (text.length + chunk.length > longest) child.kill("SIGKILL");
    else text += chunk;
  });
  // Ended before it read what is wanted: its end says so.
  child.stdin.on("error", () => {});
  child.stdin.end(JSON.stringify(generations));
  child.on("error", () => done("could not be started, or was called off"));
  child.on("close", (code, killedBy) => {
    if (late) done(`did not answer within ${timeoutMs / 1000} s`);
    else done(killedBy === null ? `ended early (exit ${code ?? "unknown"})` : `was killed (${killedBy})`);
  });
  return promise;
}
