/** Which workspace a command belongs to, and where its Bazel may keep its output: nothing is asked of Bazel itself. */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readlinkSync, realpathSync } from "node:fs";
import { homedir, userInfo } from "node:os";
import { dirname, join, resolve } from "node:path";
import { wordsOf } from "./process.ts";

/** By which Bazel knows the root of a workspace. */
const boundaries = ["MODULE.bazel", "REPO.bazel", "WORKSPACE.bazel", "WORKSPACE"] as const;

/** The nearest directory at or above that one in which a workspace begins, or of a flake or a repository for Nix; undefined where there is none. */
export function rootOf(directory: string, tool: string): string | undefined {
  const names = tool.startsWith("bazel") ? boundaries : (["flake.nix", ".git"] as const);
  for (let root = directory; ; root = dirname(root)) {
    if (names.some((name) => existsSync(join(root, name)))) return root;
    if (dirname(root) === root) return undefined;
  }
}

/** Links resolved, where it is still there. */
export function resolved(directory: string): string {
  try {
    return realpathSync(directory);
  } catch {
    return directory;
  }
}

/** The output base that a command line names itself: then it is that one. @param startup the words before the command */
export function namedOutputBase(startup: readonly string[], directory: string): string | undefined {
  const value = startupValue(startup, "--output_base");
  return value === undefined || value === "" ? undefined : resolve(directory, value);
}

/**
 * Where Bazel keeps a workspace's output if no option says otherwise: below the output user root by the MD5 of the
 * workspace's path (BlazeDirectories; the same from 2 to 8), and where the workspace's own link leads.
 */
export function likelyOutputBases(root: string, startup: readonly string[]): readonly string[] {
  const bases = [join(startupValue(startup, "--output_user_root") ?? defaultUserRoot(), createHash("md5").update(root).digest("hex"))];
  try {
    // <output base>/execroot/<name>/bazel-out
    const out = readlinkSync(join(root, "bazel-out"));
    if (/\/execroot\/[^/]+\/bazel-out$/.test(out)) bases.push(dirname(dirname(dirname(out))));
  } catch {
    // Nothing was built here yet, or --symlink_prefix gives it another name.
  }
  return bases.filter((base) => existsSync(base));
}

/** The output bases of the Bazel servers of this user that serve a workspace now. */
export function servedOutputBases(root: string): readonly string[] {
  let names: readonly string[];
  try {
    names = readdirSync("/proc");
  } catch {
    return [];
  }
  const bases: string[] = [];
  for (const name of names) {
    if (!/^[1-9]/.test(name)) continue;
    const words = wordsOf(Number(name)) ?? [];
    if (!words.includes(`--workspace_directory=${root}`)) continue;
    const base = words.find((word) => word.startsWith("--output_base="))?.slice("--output_base=".length);
    if (base?.startsWith("/") === true) bases.push(base);
  }
  return bases;
}

function startupValue(startup: readonly string[], name: string): string | undefined {
  const at = startup.findLastIndex((word) => word === name || word.startsWith(`${name}=`));
  const word = startup[at];
  if (word === undefined) return undefined;
  return word === name ? startup[at + 1] : word.slice(name.length + 1);
}

function defaultUserRoot(): string {
  const user = `_bazel_${userInfo().username}`;
  return process.platform === "darwin" ? `/private/var/tmp/${user}` : join(homedir(), ".cache/bazel", user);
}
