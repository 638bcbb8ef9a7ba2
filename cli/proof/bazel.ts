/** Builds the targets twice through the guard, each time into an output base of the proof's own: to fill the cache where that is allowed, then to read it. */

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { BuildEventReader, type BuildEvents } from "../../contract/bazel/build-events.ts";
import { fleetEnvironment } from "../../contract/environment.ts";
import { FlywheelError } from "../../contract/errors.ts";
import type { SubstrateMode } from "../../contract/mode.ts";
import type { BazelAttachmentSeen, BazelSeen, BuildSeen } from "../../contract/proof/bazel.ts";
import { type BazelName, bazelNames } from "../../shim/fast-path/names.ts";
import { findWorkspace } from "../../shim/scope.ts";
import { findRealTool } from "../../shim/tool.ts";
import type { Context } from "../context.ts";
import { interrupted } from "../record/bazel.ts";
import { readBuildEvents } from "../record/build-events.ts";
import { runBeside } from "../record/child.ts";
import { environmentOf, shimOf } from "../tool.ts";
import { bazelAttachment, guardedEverywhere, provedStatus } from "./attachment.ts";
import { endServer, outputUserRoot } from "./output-base.ts";
import { makeScratch, removeScratch } from "./scratch.ts";

export interface BazelWords {
  /** Bazel's own options of the build. */
  readonly options: readonly string[];
  readonly targets: readonly string[];
}

/** Of words as they stand behind `flywheel proof`: `-//x` leaves a target out. */
export function bazelWords(words: readonly string[]): BazelWords {
  const isOption = (word: string): boolean => word.startsWith("-") && !/^-(?:\/\/|@|:)/.test(word);
  return { options: words.filter(isOption), targets: words.filter((word) => !isOption(word)) };
}

/** @throws FlywheelError `tool-not-found` */
export function installedBazel(env: Context["env"]): BazelName {
  const found = bazelNames.find((name) => findRealTool(name, env).file !== undefined);
  if (found !== undefined) return found;
  throw new FlywheelError("tool-not-found", "there is no bazel and no bazelisk on PATH", {
    next: "install one, or: flywheel proof --kind nix",
  });
}

/** What a build of these words would be attached to. */
export function attachmentOf(tool: BazelName, words: BazelWords, context: Context): Promise<BazelAttachmentSeen> {
  return bazelAttachment(tool, buildArgs(words, []), context);
}

/**
 * @param before what was attached when the proof began
 * @param signal aborted: no further build begins
 */
export async function proveBazel(
  tool: BazelName,
  words: BazelWords,
  before: BazelAttachmentSeen,
  context: Context,
  signal: AbortSignal,
): Promise<BazelSeen> {
  const claimed = claimedMode(context);
  const nothing: BazelSeen = { claimed, before, later: [], fill: undefined, rebuild: undefined };
  if (before.state === "unattached" || signal.aborted) return nothing;
  const { env, home, cwd, output } = context;
  const { root } = findWorkspace(cwd, env["PWD"]);
  const scratch = makeScratch(outputUserRoot(root, env, env["HOME"] || home, tmpdir()));
  const builder = new Builder(tool, words, scratch, context);
  const look = async (): Promise<BazelAttachmentSeen> => {
    await provedStatus(context, signal);
    return attachmentOf(tool, words, context);
  };
  try {
    const later: BazelAttachmentSeen[] = [];
    let fill: BuildSeen | undefined;
    if (before.upload) {
      output.notice("flywheel: the first build, which may fill the cache");
      fill = await builder.build("fill", "as the profile says");
      if (signal.aborted) return nothing;
      later.push(await look());
      if (fill.exitCode !== 0) return { ...nothing, later, fill };
    } else output.notice("flywheel: uploads are off, so that the cache has to hold these targets already");
    output.notice("flywheel: the rebuild, into an empty output base, with uploads and disk caches off");
    const rebuild = await builder.build("rebuild", "off");
    if (signal.aborted) return nothing;
    later.push(await look());
    return { claimed, before, later, fill, rebuild };
  } finally {
    await builder.end();
    await removeScratch(scratch);
  }
}

function claimedMode({ env, cwd }: Context): SubstrateMode | undefined {
  const { mode, profileState, executor } = fleetEnvironment(env);
  const { manifest } = findWorkspace(cwd, env["PWD"]);
  const states = [profileState.state === "known" ? profileState.value : undefined, mode.state === "known" ? mode.value : undefined];
  if (executor !== undefined || states.includes("executor-backed")) return "executor-backed";
  if (manifest.state === "enrolled") return manifest.mode;
  return mode.state === "known" ? mode.value : undefined;
}

/**
 * What keeps the user's own things out of it, and other caches: the links into a workspace stay, and no file or service
 * that an rc names gets this build's events.
 */
const apart = ["--symlink_prefix=/", "--disk_cache=", "--build_event_binary_file=", "--build_event_text_file=", "--bes_backend="] as const;

/** Behind every `--config`, so that none takes them back. */
function buildArgs({ options, targets }: BazelWords, more: readonly string[]): readonly string[] {
  return ["build", ...options, ...apart, ...more, "--", ...targets];
}

class Builder {
  readonly #tool: BazelName;
  readonly #words: BazelWords;
  readonly #scratch: string;
  readonly #context: Context;
  readonly #bases: string[] = [];

  constructor(tool: BazelName, words: BazelWords, scratch: string, context: Context) {
    this.#tool = tool;
    this.#words = words;
    this.#scratch = scratch;
    this.#context = context;
  }

  async build(name: "fill" | "rebuild", uploads: "as the profile says" | "off"): Promise<BuildSeen> {
    const base = join(this.#scratch, name);
    await mkdir(base);
    this.#bases.push(base);
    const file = join(this.#scratch, `${name}.json`);
    const args = [...startup(base), ...buildArgs(this.#words, [`--build_event_json_file=${file}`])];
    const env = { ...this.#env(), ...(uploads === "off" ? { GF_BAZEL_REMOTE_UPLOAD: "false" } : {}) };
    // Bazel's words go to standard error, where a person looks on; standard output is the record's.
    const ending = await runBeside({
      file: shimOf(this.#tool),
      args,
      env: environmentOf(env),
      stdout: "stderr",
      stderr: "inherit",
      onStarted: () => {},
    });
    const events = existsSync(file) ? await readBuildEvents(file) : silence;
    const isInterrupted = ending.signal !== undefined || ending.code === interrupted;
    return { exitCode: ending.code, interrupted: isInterrupted, wallMs: ending.wallMs, events };
  }

  /** Ends the servers that the builds started. Never throws. */
  async end(): Promise<void> {
    for (const base of this.#bases) {
      await endServer(base, async (timeout) => {
        const env = environmentOf(this.#env());
        await promisify(execFile)(shimOf(this.#tool), [...startup(base), "shutdown"], { env, timeout, killSignal: "SIGKILL" }).catch(() => {
          // Then its pid is what is left.
        });
      });
    }
  }

  #env(): Context["env"] {
    return guardedEverywhere(this.#context.env, this.#context.profile);
  }
}

/** Should this process be killed, its servers go by themselves. */
function startup(base: string): readonly string[] {
  return [`--output_base=${base}`, "--max_idle_secs=60"];
}

const silence: BuildEvents = new BuildEventReader().result;
