/** The guard on PATH: is it there, is it first, and what stands behind it. */
import { closeSync, constants, existsSync, openSync, readSync, realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Environment } from "../../contract/environment.ts";
import { FlywheelError } from "../../contract/errors.ts";
import { typed } from "../../contract/quote.ts";
import { printable } from "../../contract/text.ts";
import { withoutWaiting } from "../../daemon/api/client/bounded.ts";
import { bazelNames, markerFile, realToolVariable, type ShimName, shimFamilies } from "../../shim/fast-path/names.ts";
import { findRealTool, isProgram } from "../../shim/tool.ts";
import { shimDirectory } from "../package.ts";
import type { Facts } from "./facts.ts";
import { type Check, checksOf } from "./report.ts";

const { ok, warn, fail } = checksOf("shim");

/** What each shim says of itself in its second line (shim/fast-path.ts). */
const shimWords = "guarded: the fast path of the GloriousFlywheel companion";

export function checkShim({ env }: Facts): readonly Check[] {
  let own: string;
  try {
    own = shimDirectory();
  } catch (error) {
    if (!(error instanceof FlywheelError)) throw error;
    return [fail("shim", error.message, { next: error.next ?? null })];
  }
  const directories = (env["PATH"] ?? "").split(":").map((directory) => directory || ".");
  const shims = directories.filter((directory) => existsSync(join(directory, markerFile)));
  return [
    ...placed(own, directories, shims),
    ...placedTools(env, directories, shims),
    ...copies(directories),
    ...realTools(env, shims.length > 0),
  ];
}

function placed(own: string, directories: readonly string[], shims: readonly string[]): readonly Check[] {
  const first = shims.find((directory) => isProgram(join(directory, "bazel")));
  if (first === undefined) {
    return [
      warn("shim", "the guard is not on PATH: nothing is guarded in this shell", {
        reason: `its directory is ${own}`,
        next: "flywheel shim install, then open a new shell",
      }),
    ];
  }
  const earlier = earlierThan(first, bazelNames, directories);
  const found: Check[] = earlier.length === 0 ? [ok("shim", `the guard comes first on PATH (${first})`)] : [...earlier];
  if (real(first) !== real(own)) {
    found.push(
      warn("shim-other", `the guard on PATH is another installation's: ${printable(first, 400)}`, {
        reason: `this one's is ${own}`,
        next: "flywheel shim install, then open a new shell",
      }),
    );
  }
  return found;
}

/** Each tool that is there has its own directory of shims on PATH, before itself: `shim install` looks for them in each new shell. */
function placedTools(env: Environment, directories: readonly string[], shims: readonly string[]): readonly Check[] {
  if (shims.length === 0) return [];
  return shimFamilies.flatMap(({ tool, names }) => {
    if (tool === undefined || findRealTool(tool, env).file === undefined) return [];
    const first = shims.find((directory) => isProgram(join(directory, tool)));
    if (first !== undefined) return earlierThan(first, names, directories);
    return [
      warn("shim-tool", `the guard of ${tool} is not on PATH: it is not guarded in this shell`, {
        reason: `its directory is ${shimDirectory(tool)}`,
        next: "flywheel shim install, then open a new shell",
      }),
    ];
  });
}

/** What is found on PATH before a shim's directory, by one of its names. */
function earlierThan(first: string, names: readonly ShimName[], directories: readonly string[]): readonly Check[] {
  const before = directories.slice(0, directories.indexOf(first)).filter((directory) => !existsSync(join(directory, markerFile)));
  const earlier = names.flatMap((name) => before.map((directory) => join(directory, name)).filter(isProgram));
  return earlier.map((file) =>
    fail("shim-order", `${printable(file, 400)} comes before the guard on PATH`, {
      reason: /\/bazelisk\/downloads\//.test(file)
        ? "bazelisk puts Bazel's own directory in front for whatever it starts"
        : "commands by that name are not guarded",
      next: "flywheel shim install, as the last to change PATH; then open a new shell, or hash -r",
    }),
  );
}

/** A shim that was copied or linked out of its directory lacks the marker: it stops with an error, and may be taken for the real tool. */
function copies(directories: readonly string[]): readonly Check[] {
  return directories
    .filter((directory) => !existsSync(join(directory, markerFile)))
    .flatMap((directory) => bazelNames.map((name) => join(directory, name)))
    .filter((file) => isProgram(file) && isShimText(file))
    .map((file) =>
      fail("shim-marker", `${printable(file, 400)} is a link to or a copy of a shim`, {
        reason: `${markerFile} does not stand beside it`,
        next: `rm ${typed(printable(file, 400))}, then flywheel shim install`,
      }),
    );
}

function realTools(env: Environment, guarded: boolean): readonly Check[] {
  const chosen = bazelNames.filter((name) => env[realToolVariable(name)]);
  const tools = bazelNames.map((name) => ({ name, file: findRealTool(name, env).file }));
  const found = tools.filter((tool): tool is { name: (typeof bazelNames)[number]; file: string } => tool.file !== undefined);
  const checks: Check[] = [];
  for (const name of chosen) {
    if (found.some((tool) => tool.name === name)) continue;
    checks.push(
      fail("real-tool", `${realToolVariable(name)} names nothing that could be run: ${printable(env[realToolVariable(name)] ?? "", 200)}`, {
        next: `unset ${realToolVariable(name)}, or set it to the absolute path of the real ${name}`,
      }),
    );
  }
  for (const { name, file } of found) checks.push(ok("real-tool", `the real ${name} is ${printable(file, 400)}`));
  if (found.length === 0 && chosen.length === 0) {
    const next = `install bazelisk or bazel, or name it in ${realToolVariable("bazel")}`;
    checks.push(
      (guarded ? warn : ok)(
        "real-tool",
        guarded ? "there is no bazel behind the guard" : "there is no bazel on PATH",
        guarded ? { next } : {},
      ),
    );
  }
  const bazelisk = found.find(({ file }) => basename(real(file)).startsWith("bazelisk"));
  if (bazelisk !== undefined) {
    checks.push(
      ok("bazelisk-path", "behind it is bazelisk: nested bazel calls are not guarded", {
        reason: "bazelisk puts Bazel's own directory first on the PATH of whatever it starts; see the README",
      }),
    );
  }
  const version = env["USE_BAZEL_VERSION"] ?? "";
  if (version.startsWith("/") && (existsSync(join(dirname(version), markerFile)) || (isProgram(version) && isShimText(version)))) {
    checks.push(
      fail("bazelisk-loop", "USE_BAZEL_VERSION names a shim: bazelisk would call the guard again", { next: "unset USE_BAZEL_VERSION" }),
    );
  }
  return checks;
}

function isShimText(file: string): boolean {
  try {
    const opened = openSync(file, constants.O_RDONLY | withoutWaiting);
    try {
      const start = Buffer.alloc(256);
      return start.toString("latin1", 0, readSync(opened, start, 0, start.length, 0)).includes(shimWords);
    } finally {
      closeSync(opened);
    }
  } catch {
    // It may be run but not read.
    return false;
  }
}

function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
