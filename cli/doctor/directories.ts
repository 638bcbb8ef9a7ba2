/** The three directories: whose they are, who else may write, and whether there is room. */
import { type Stats, statfsSync, statSync } from "node:fs";
import { longestSocketPath, type Paths, socketPath } from "../../contract/paths.ts";
import { typed } from "../../contract/quote.ts";
import { inspectRuntimeDirectory } from "../../daemon/api/client/directory.ts";
import type { Facts } from "./facts.ts";
import { look, nearest, writable } from "./look.ts";
import { type Check, checksOf } from "./report.ts";

const { ok, warn, fail } = checksOf("directories");

/** A log and its rotation, a spool and its rotation (5 MiB each), and some room: bytes. */
const littleRoom = 32 * 1_048_576;
const noRoom = 1_048_576;

export function checkDirectories({ paths, status }: Facts): readonly Check[] {
  const running = status.ok && status.value.daemon !== null;
  const believed = [`${paths.config}/config.toml`, `${paths.config}/trust.json`, `${paths.state}/operator.json`];
  return [configuration(paths.config), state(paths.state), ...believed.flatMap(ownFile), runtime(paths, running), ...room(paths)];
}

function configuration(path: string): Check {
  const seen = look(path);
  if (seen.state === "absent") return ok("config-directory", `${path} is not there: the defaults hold`);
  if (seen.state === "unknown") return fail("config-directory", `${path} cannot be looked at`, { reason: seen.reason });
  return (
    unsound("config-directory", path, seen.stats, "it says what may be trusted") ??
    (writable(path)
      ? ok("config-directory", `${path} is yours`)
      : warn("config-directory", `${path} cannot be written`, { reason: "`flywheel trust` can change nothing there" }))
  );
}

/** What is believed must be the user's or the administrator's, and nobody else's to change. */
function ownFile(path: string): readonly Check[] {
  const seen = look(path);
  if (seen.state !== "there") return [];
  const { stats } = seen;
  // The guard goes on with such a config.toml; what is trusted is another matter.
  const bad = path.endsWith("/config.toml") ? warn : fail;
  if (stats.uid !== 0 && stats.uid !== process.geteuid?.())
    return [bad("believed-file", `${path} belongs to another user (uid ${stats.uid})`, { next: "look through it, then chown it" })];
  const mode = stats.mode & 0o777;
  if ((mode & 0o022) === 0) return [];
  return [
    bad("believed-file", `${path} can be written by others (mode 0${mode.toString(8)})`, {
      next: `look through it, then chmod go-w ${typed(path)}`,
    }),
  ];
}

function state(path: string): Check {
  const seen = look(path);
  if (seen.state === "absent") {
    const parent = nearest(path);
    return writable(parent)
      ? ok("state-directory", `${path} is not there yet`)
      : fail("state-directory", `${path} is not there and cannot be made`, {
          reason: `${parent} cannot be written: no log, no record of escapes`,
          next: "make it writable, or set GF_STATE_DIR to a directory of your own",
        });
  }
  if (seen.state === "unknown")
    return fail("state-directory", `${path} cannot be looked at`, { reason: seen.reason, next: "set GF_STATE_DIR" });
  const fault = unsound("state-directory", path, seen.stats, "it keeps what `flywheel attach` said");
  if (fault !== undefined) return fault;
  if (writable(path)) return ok("state-directory", `${path} is yours`);
  return fail("state-directory", `${path} cannot be written`, {
    reason: "no log, no record of escapes",
    next: `chmod u+w ${typed(path)}, or set GF_STATE_DIR`,
  });
}

function runtime(paths: Paths, running: boolean): Check {
  const length = Buffer.byteLength(socketPath(paths));
  if (length > longestSocketPath) {
    return fail("runtime-directory", `${paths.runtime} is too long a path`, {
      reason: `its socket's has ${length} bytes, ${longestSocketPath} are allowed`,
      next: "set GF_RUNTIME_DIR to a shorter one",
    });
  }
  const result = inspectRuntimeDirectory(paths.runtime);
  if (result.ok) {
    return writable(paths.runtime)
      ? ok("runtime-directory", `${paths.runtime} is yours alone`)
      : fail("runtime-directory", `${paths.runtime} cannot be written`, { reason: "nothing can be published", next: "set GF_RUNTIME_DIR" });
  }
  if (result.fault !== "absent") return fail("runtime-directory", result.message, { next: result.next });
  if (running) return fail("runtime-directory", `${paths.runtime} is gone under the daemon`, { next: "flywheel up" });
  const parent = nearest(paths.runtime);
  return writable(parent)
    ? ok("runtime-directory", `${paths.runtime} is not there yet`)
    : fail("runtime-directory", `${paths.runtime} is not there and cannot be made`, {
        reason: `${parent} cannot be written`,
        next: "set GF_RUNTIME_DIR to a directory of your own",
      });
}

/** One check for each file system that has little room. */
function room(paths: Paths): readonly Check[] {
  const seen = new Map<number, Check>();
  for (const path of [paths.state, paths.runtime]) {
    const place = nearest(path);
    try {
      const device = statSync(place).dev;
      const { bavail, bsize, files, ffree } = statfsSync(place);
      const free = bavail * bsize;
      const what = `${place} has ${mebibytes(free)} left`;
      const next = "make room on that file system";
      if (free < noRoom) seen.set(device, fail("disk", what, { reason: "nothing can be published or recorded there", next }));
      else if (files > 0 && ffree === 0) seen.set(device, fail("disk", `${place} has no inodes left`, { next }));
      else if (free < littleRoom) seen.set(device, warn("disk", what, { next }));
    } catch {
      // A file system that does not tell.
    }
  }
  return [...seen.values()];
}

function unsound(id: string, path: string, stats: Stats, why: string): Check | undefined {
  if (!stats.isDirectory()) return fail(id, `${path} is no directory`, { next: `move ${path} away` });
  if (stats.uid !== process.geteuid?.())
    return fail(id, `${path} belongs to another user (uid ${stats.uid})`, { reason: why, next: "chown it, or name another directory" });
  const mode = stats.mode & 0o777;
  if ((mode & 0o022) === 0) return undefined;
  return fail(id, `${path} can be written by others (mode 0${mode.toString(8)})`, { reason: why, next: `chmod go-w ${typed(path)}` });
}

function mebibytes(bytes: number): string {
  return `${Math.floor(bytes / 1_048_576)} MiB`;
}
