/** Where a proof's own output bases go, beside the user's, and how their servers end. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import type { Environment } from "../../contract/environment.ts";
import { rcLines, readSmall, usualRcFiles } from "../bazelrc.ts";

/** Where Bazel keeps its output bases: there is room for another. */
export function outputUserRoot(root: string, env: Environment, home: string, temporary: string): string {
  const named = [...rcLines(root, usualRcFiles(root, home))]
    .filter(({ section }) => section === "startup")
    .flatMap(({ words }) => words)
    .findLast((word) => word.startsWith("--output_user_root="))
    ?.slice("--output_user_root=".length)
    .replaceAll(/["']/g, "");
  const user = env["USER"] ?? "";
  const caches = [env["XDG_CACHE_HOME"], join(home, ".cache"), join(home, "Library/Caches")].map((cache) => join(cache || home, "bazel"));
  const usual = [...caches, "/private/var/tmp", "/var/tmp"].map((place) => join(place, `_bazel_${user}`));
  return [named ?? "", ...usual].find((place) => place.startsWith("/") && existsSync(place)) ?? temporary;
}

const longestMs = 15_000;

/**
 * Ends the server of an output base, by its own command, else by its pid.
 * @param shutdown runs `bazel shutdown` with that output base
 */
export async function endServer(outputBase: string, shutdown: (timeoutMs: number) => Promise<void>): Promise<void> {
  const pid = Number(readSmall(join(outputBase, "server/server.pid.txt")) ?? Number.NaN);
  if (!Number.isSafeInteger(pid) || pid < 2 || !(await serves(pid, outputBase))) return;
  await shutdown(longestMs);
  for (const deadline = performance.now() + 2000; await serves(pid, outputBase); await pause(20)) {
    if (performance.now() > deadline) {
      process.kill(pid, "SIGKILL");
      return;
    }
  }
}

/** A number that another process got since is not ours to end. */
async function serves(pid: number, outputBase: string): Promise<boolean> {
  try {
    return (await promisify(execFile)("ps", ["-ww", "-o", "args=", "-p", String(pid)])).stdout.includes(outputBase);
  } catch {
    return false;
  }
}
