/** Whether git would ever take a file of a working tree, and what that means for the repository's env file. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { envFileName } from "../../contract/env-file.ts";
import type { Environment } from "../../contract/environment.ts";
import { printable } from "../../contract/text.ts";

type Ignored =
  | { readonly state: "ignored" }
  /** No repository at or above it: nothing would commit it. */
  | { readonly state: "no-repository" }
  | { readonly state: "not-ignored"; readonly tracked: boolean }
  | { readonly state: "unknown"; readonly reason: string };

/** git answers at once, or something is wrong with it: milliseconds. */
const patience = 10_000;

/** What keeps the repository's env file from being written: git would take it, or nobody can say. Undefined where nothing does. */
export async function gitFault(root: string, env: Environment): Promise<{ readonly reason: string; readonly next: string } | undefined> {
  const ignored = await ignoredByGit(root, envFileName, env);
  switch (ignored.state) {
    case "ignored":
    case "no-repository":
      return undefined;
    case "not-ignored":
      return ignored.tracked
        ? {
            reason: `git tracks ${envFileName}, which is this machine's own`,
            next: `git rm --cached ${envFileName}, and add ${envFileName} to .gitignore`,
          }
        : {
            reason: `git does not ignore ${envFileName}, which is this machine's own`,
            next: `add the line ${envFileName} to ${join(root, ".gitignore")}`,
          };
    case "unknown":
      return {
        reason: `git does not say whether it ignores ${envFileName}: ${ignored.reason}`,
        next: `git -C ${root} check-ignore ${envFileName}`,
      };
  }
}

/** @param name a file of `directory`; it need not be there */
async function ignoredByGit(directory: string, name: string, env: Environment): Promise<Ignored> {
  if (!inRepository(directory)) return { state: "no-repository" };
  const tracked = await git(["ls-files", "--error-unmatch", "--", name], directory, env);
  if (tracked.code === 0) return { state: "not-ignored", tracked: true };
  const asked = await git(["check-ignore", "--quiet", "--", name], directory, env);
  switch (asked.code) {
    case 0:
      return { state: "ignored" };
    case 1:
      return { state: "not-ignored", tracked: false };
    default:
      return { state: "unknown", reason: asked.words };
  }
}

function inRepository(directory: string): boolean {
  for (let at = directory; ; at = dirname(at)) {
    if (existsSync(join(at, ".git"))) return true;
    if (at === dirname(at)) return false;
  }
}

/** In this directory's own repository, whatever the environment says of another; and no hook of it is run. */
function git(
  args: readonly string[],
  cwd: string,
  env: Environment,
): Promise<{ readonly code: number | undefined; readonly words: string }> {
  const own = Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("GIT_")));
  return new Promise((resolve) => {
    execFile("git", ["-c", "core.fsmonitor=false", ...args], { cwd, env: own, timeout: patience }, (error, _stdout, stderr) => {
      if (error === null) resolve({ code: 0, words: "" });
      else if (typeof error.code === "number") resolve({ code: error.code, words: printable(stderr.trim().split("\n")[0] ?? "", 200) });
      else resolve({ code: undefined, words: error.code === "ENOENT" ? "git is not on PATH" : "git did not answer" });
    });
  });
}
