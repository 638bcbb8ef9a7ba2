/** A house for the generated sh: the real scripts, a tool that tells what it was given, and a guard that only says that it was asked. */
import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentEventFlags } from "../../contract/bazel/injection.ts";
import { type Published, serializePublished } from "../../contract/published.ts";
import { readClock } from "../../daemon/api/client/clock.ts";
import { familyDirectory, isShimName } from "../../shim/fast-path/names.ts";
import { writeShim } from "../../shim/write.ts";
import { endpointOf } from "../fixtures/endpoint.ts";

/** The shells that people have as sh, by the command that runs a script in them; only those that are installed. */
export const shells: readonly { readonly name: string; readonly command: readonly string[] }[] = [
  { name: "dash", command: ["/bin/dash"] },
  { name: "bash as sh", command: ["/bin/bash", "--posix"] },
  { name: "busybox ash", command: ["/bin/busybox", "ash"] },
  { name: "zsh as sh", command: ["/bin/zsh", "--emulate", "sh"] },
].filter(({ command }) => existsSync(command[0] ?? ""));

export interface Outcome {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface House {
  readonly root: string;
  /** The base; `shimOf` knows where each name is. */
  readonly shim: string;
  readonly tools: string;
  readonly work: string;
  readonly attachment: string;
  readonly env: Readonly<Record<string, string>>;
  /** The script of a name; of what is no name, what stands by that path from the base. */
  shimOf(name: string): string;
  /** Writes the attachment file, alive unless the changes say otherwise; a string is written as it is. */
  publish(changes?: Partial<Published> | string): void;
  run(args: readonly string[], options?: RunOptions): Promise<Outcome>;
  remove(): void;
}

export interface RunOptions {
  readonly name?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  readonly shell?: readonly string[];
  readonly input?: string;
}

/** What the fake guard answers; it also leaves a line in `asked`. */
export async function buildHouse(plan = "flywheel-plan-1\nstop"): Promise<House> {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "gf-house-")));
  const [shim, tools, work, home] = ["shim", "tools", "work", "home"].map((name) => join(root, name)) as [string, string, string, string];
  await writeShim(root);
  const shimOf = (name: string): string => join(root, isShimName(name) ? familyDirectory(name) : "shim", name);
  for (const directory of [join(root, "bin"), tools, work, home]) mkdirSync(directory, { recursive: true });
  script(join(tools, "bazel"), `for word in "$@"; do printf '%s\\0' "$word"; done`);
  script(join(tools, "bazelisk"), `for word in "$@"; do printf '%s\\0' "$word"; done`);
  script(join(root, "bin/flywheel"), `echo "$#" >>'${root}/asked'\nprintf '%s\\n' '${plan.replaceAll("\n", "' '")}'`);
  const runtime = join(root, "run");
  const attachment = join(runtime, "attachment/default/bazel");
  mkdirSync(join(runtime, "attachment/default"), { recursive: true, mode: 0o700 });
  const env = {
    HOME: home,
    // zsh sets it where it is missing.
    LOGNAME: "dev",
    PATH: `${shim}:${tools}:/usr/bin:/bin`,
    GF_RUNTIME_DIR: runtime,
    GF_STATE_DIR: join(root, "state"),
    GF_CONFIG_DIR: join(root, "config"),
    GF_GUARD_SCOPE: "all",
  };
  return {
    root,
    shim,
    shimOf,
    tools,
    work,
    attachment,
    env,
    publish: (changes = {}) =>
      writeFileSync(attachment, typeof changes === "string" ? changes : serializePublished({ ...alive(), ...changes }), { mode: 0o600 }),
    run: (args, options = {}) => runShim({ env, shimOf, work }, args, options),
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}

/** A published attachment whose lease runs now. */
export function alive(): Published {
  const clock = readClock();
  return {
    kind: "bazel",
    profile: "default",
    state: "shared-cache-backed",
    mode: "shared-cache-backed",
    endpoint: endpointOf({ kind: "bazel", scheme: "grpc", host: "100.64.0.5", port: 9092 }),
    aliases: [endpointOf({ kind: "bazel", scheme: "grpc", host: "cache.example.ts.net", port: 9092 })],
    verified: clock.seconds,
    validUntil: clock.seconds + 45,
    clock: clock.source,
    bootId: clock.bootId,
    pid: process.pid,
    upload: false,
    slow: false,
    reason: "",
  };
}

export const attachedFlags = [
  "--remote_cache=grpc://100.64.0.5:9092",
  "--remote_accept_cached",
  "--remote_upload_local_results=false",
  "--remote_executor=",
  ...silentEventFlags,
];

export function script(file: string, body: string): void {
  writeFileSync(file, `#!/bin/sh\n${body}\n`);
  chmodSync(file, 0o755);
}

/** The words that the fake tool was given. */
export function words(outcome: Outcome): string[] {
  return outcome.stdout.toString("utf8").split("\0").slice(0, -1);
}

function runShim(
  house: { env: Record<string, string>; shimOf: House["shimOf"]; work: string },
  args: readonly string[],
  options: RunOptions,
): Promise<Outcome> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries({ ...house.env, ...options.env })) if (value !== undefined) env[name] = value;
  const [file = "", ...before] = [...(options.shell ?? []), house.shimOf(options.name ?? "bazel")];
  const child = spawn(file, [...before, ...args], { env, cwd: options.cwd ?? house.work, stdio: ["pipe", "pipe", "pipe"] });
  // A tool that never reads may be gone before this is written.
  child.stdin.on("error", () => {}).end(options.input ?? "");
  const stdout: Buffer[] = [];
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    stderr += chunk;
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout: Buffer.concat(stdout), stderr }));
  });
}
