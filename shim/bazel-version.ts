/** Which Bazel stands behind the shim, as far as that can be told without starting a server. */
import { execFile } from "node:child_process";
import { closeSync, existsSync, openSync, readdirSync, readSync, realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { type BazelVersion, parseBazelVersion } from "../contract/bazel/version.ts";
import type { Environment } from "../contract/environment.ts";
import { readBounded } from "../daemon/api/client/bounded.ts";
import type { BazelName } from "./fast-path/names.ts";
import { findRealTool } from "./tool.ts";

/** `--version` prints and exits: 3 ms for Bazel's own client; a wrapper may take longer. Milliseconds. */
const patience = 2000;

/**
 * @param root where the workspace begins
 * @returns undefined where nobody can tell: a workspace's own tools/bazel, bazelisk without a version that is pinned
 */
export async function bazelVersion(tool: BazelName, root: string, env: Environment): Promise<BazelVersion | undefined> {
  const { file, path } = findRealTool(tool, env);
  if (file === undefined || existsSync(join(root, "tools/bazel"))) return undefined;
  const real = realpathSync(file);
  // A script, as bazelisk from npm and Debian's bazel are, runs the version that the workspace asks for.
  const isBazelisk = basename(real).startsWith("bazelisk");
  const asked = isBazelisk || isScript(real) ? askedVersion(root, env) : undefined;
  if (asked !== undefined || isBazelisk) return parseBazelVersion(asked ?? "");
  return parseBazelVersion(await ownWord(file, { ...env, PATH: path })) ?? besideWrapper(real);
}

/** What names a version, in bazelisk's order; undefined where nothing does. */
export function askedVersion(root: string, env: Environment): string | undefined {
  const rc = /^\s*USE_BAZEL_VERSION\s*=\s*(\S+)/m.exec(small(join(root, ".bazeliskrc")))?.[1];
  const file = small(join(root, ".bazelversion")).split("\n")[0]?.trim();
  return env["USE_BAZEL_VERSION"] || rc || file || undefined;
}

/** From a directory without a workspace, so that no program of one is run. */
function ownWord(file: string, env: Environment): Promise<string> {
  return new Promise((resolve) => {
    execFile(file, ["--version"], { cwd: "/", env: { ...env }, timeout: patience, maxBuffer: 4096 }, (_error, stdout) =>
      resolve(/^bazel (\S+)$/m.exec(stdout)?.[1] ?? ""),
    );
  });
}

/** Debian's Bazel says `no_version`; its wrapper runs the latest `bazel-<version>` beside itself. */
function besideWrapper(wrapper: string): BazelVersion | undefined {
  if (!isScript(wrapper)) return undefined;
  return readdirSync(dirname(wrapper))
    .flatMap((name) => (name.startsWith("bazel-") ? (parseBazelVersion(name.slice("bazel-".length)) ?? []) : []))
    .toSorted((a, b) => a.major - b.major || a.minor - b.minor)
    .at(-1);
}

function isScript(file: string): boolean {
  try {
    const opened = openSync(file, "r");
    try {
      const start = Buffer.alloc(2);
      return readSync(opened, start) === 2 && start.toString("latin1") === "#!";
    } finally {
      closeSync(opened);
    }
  } catch {
    // It may be run but not read.
    return false;
  }
}

function small(file: string): string {
  try {
    return readBounded(file, 65_536).toString("utf8");
  } catch {
    return "";
  }
}
