/** Whether the guard acts here: scope, the workspace's manifest, and the verdict that the fast path may reuse. */
import { closeSync, constants, existsSync, futimesSync, mkdirSync, openSync, statSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Config } from "../contract/config.ts";
import { envFileName } from "../contract/env-file.ts";
import { type Manifest, manifestName, parseManifest } from "../contract/manifest.ts";
import type { Paths } from "../contract/paths.ts";
import { profileOfRepository } from "../contract/repositories.ts";
import { readBounded, withoutWaiting } from "../daemon/api/client/bounded.ts";
import { reasonOf } from "../daemon/api/client/errno.ts";

const largestManifest = 1_048_576;

/** The word of a verdict by which the fast path knows that the configuration makes medium commands heavy. */
export const mediumIsHeavy = "strict";
/** The key by which a verdict names the profile that the configuration maps the workspace to. */
export const verdictProfile = "profile";

export interface Workspace {
  /** The nearest directory with a manifest or a `.git`, links resolved; the current directory where there is none. */
  readonly root: string;
  /** The same as the shell spells it: what the fast path looks a verdict up by. */
  readonly logicalRoot: string;
  readonly manifest: Manifest;
}

export type Scope =
  | { readonly kind: "inside"; readonly why: string }
  | { readonly kind: "outside"; readonly why: string; readonly next: string };

/** What has the guard act in a workspace that is not enrolled, or for one command of it. */
const enrolling = `{ "enrollment": {} } in ${manifestName} at its root, its path under guard.workspaces of config.toml, or for one command: flywheel exec -- …`;

/**
 * @param cwd the current directory, links resolved
 * @param pwd $PWD, which may spell it through links
 */
export function findWorkspace(cwd: string, pwd: string | undefined): Workspace {
  let root = cwd;
  let logicalRoot = pwd ?? "";
  for (;;) {
    if (existsSync(join(root, manifestName))) return { root, logicalRoot, manifest: readManifest(join(root, manifestName)) };
    if (existsSync(join(root, ".git"))) return { root, logicalRoot, manifest: { state: "absent" } };
    const parent = dirname(root);
    if (parent === root) return { root: cwd, logicalRoot: pwd ?? "", manifest: { state: "absent" } };
    root = parent;
    logicalRoot = logicalRoot.slice(0, Math.max(0, logicalRoot.lastIndexOf("/")));
  }
}

function readManifest(file: string): Manifest {
  try {
    return parseManifest(readBounded(file, largestManifest).toString("utf8"));
  } catch (error) {
    return { state: "invalid", message: `${file} cannot be read (${reasonOf(error)})` };
  }
}

/** @param asked GF_GUARD_SCOPE; anything but `all` and `enrolled` counts as `all`: the guard errs on acting */
export function scopeOf(workspace: Workspace, config: Config, asked: string | undefined): Scope {
  if (asked !== undefined && asked !== "" && asked !== "enrolled")
    return { kind: "inside", why: "GF_GUARD_SCOPE asks for every workspace" };
  const own = enrolment(workspace, config);
  if (own !== undefined) return { kind: "inside", why: own };
  return {
    kind: "outside",
    why: `this workspace is not enrolled: neither by ${manifestName} nor by guard.workspaces of config.toml`,
    next: enrolling,
  };
}

/** Why a workspace is in scope by itself, whatever GF_GUARD_SCOPE says; undefined where it is not. */
function enrolment(workspace: Workspace, config: Config): string | undefined {
  if (workspace.manifest.state === "enrolled") return `${manifestName} enrols this workspace`;
  if (workspace.manifest.state === "invalid") return `${manifestName} cannot be understood`;
  if (config.guard.scope === "all") return "the configuration guards every workspace";
  const listed = config.guard.workspaces.find((path) => workspace.root === path || workspace.root.startsWith(`${path}/`));
  return listed === undefined ? undefined : `the configuration enrols ${listed}`;
}

/** What a verdict was judged from, besides what was read. */
export interface Judged {
  /** A time before anything was read: milliseconds since the epoch. */
  readonly begun: number;
  /** Whether each was there when it was read. */
  readonly configFile: boolean;
  readonly envFile: boolean;
}

/** Coarser than the clock of any file system, and of every shell's `-nt`: milliseconds. */
const grain = 1000;

/**
 * Leaves the verdict where the fast path finds it, if it is one that it can act on alone. Best effort: without
 * it the next command takes the slow path again. It is dated a second before the reading began: the guard may wait
 * long after that, and whatever changes meanwhile must be the younger, by a clock of whole seconds too. So a manifest
 * or configuration that was younger than that second leaves none.
 */
export function rememberVerdict(paths: Paths, workspace: Workspace, config: Config, judged: Judged): void {
  const { manifest, root, logicalRoot } = workspace;
  const plain = manifest.state !== "invalid" && !(manifest.state === "enrolled" && manifest.mode !== "shared-cache-backed");
  if (!plain || !/^\/[^\n]*$|^$/.test(logicalRoot) || root.includes("\n")) return;
  const verdict = enrolment(workspace, config) === undefined ? "unenrolled" : "enrolled";
  const strict = config.guard.medium === "heavy" ? ` ${mediumIsHeavy}` : "";
  const mapped = profileOfRepository(config, workspace)?.profile;
  const profile = mapped === undefined ? "" : ` ${verdictProfile}=${mapped}`;
  const files = [join(root, manifestName), join(root, envFileName), join(paths.config, "config.toml"), join(paths.config, "trust.json")];
  const present = `${manifest.state === "absent" ? "none" : "manifest"}${judged.envFile ? "+env" : ""}${judged.configFile ? "+config" : ""}`;
  const dated = judged.begun - grain;
  try {
    if (youngest(files) > dated) return;
    const directory = `${paths.state}/workspace${logicalRoot}`;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW | withoutWaiting;
    const opened = openSync(`${directory}/.verdict`, flags, 0o600);
    try {
      writeSync(opened, `${verdict} ${present}${strict}${profile}\n${root}\n`);
      futimesSync(opened, dated / 1000, dated / 1000);
    } finally {
      closeSync(opened);
    }
  } catch {
    // A read-only or full state directory costs speed, not correctness.
  }
}

function youngest(files: readonly string[]): number {
  return Math.max(0, ...files.map((file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0));
}
