/** Where this package lies: it runs from cli/ as source and from dist/lib/ as a bundle. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { FlywheelError } from "../contract/errors.ts";
import { familyDirectory, markerFile, type ShimName } from "../shim/fast-path/names.ts";

function find(places: readonly string[], file: string): string | undefined {
  return places.map((place) => fileURLToPath(new URL(place, import.meta.url))).find((place) => existsSync(`${place}${file}`));
}

/**
 * The shim's directory that holds a name, absolute, without a last slash; of bazel's it is the base, first on PATH.
 * @throws FlywheelError `internal` where the package was not built
 */
export function shimDirectory(name: ShimName = "bazel"): string {
  const found = find(["../shim/", "../dist/shim/"], markerFile);
  if (found === undefined) throw new FlywheelError("internal", "the shim was not built", { next: "npm run build" });
  return join(dirname(found), familyDirectory(name));
}

/**
 * What the shells of `flywheel shell` read when they start: the directory, with a last slash, and the hook that they share.
 * @throws FlywheelError `internal` where the package was not built
 */
export function shellFiles(): { readonly start: string; readonly hook: string } {
  const start = find(["./shell/", "./shell/start/"], "bash.sh");
  const hook = find(["./shell/", "../nix/"], "shell-hook.sh");
  if (start === undefined || hook === undefined)
    throw new FlywheelError("internal", "the shell's start files are missing", { next: "npm run build" });
  return { start, hook: `${hook}shell-hook.sh` };
}

/** node-pty's native half for this platform: the directory, with a last slash; undefined where there is none for it. */
export function ptyDirectory(): string | undefined {
  const target = `${process.platform}-${process.arch}`;
  return find([`./pty/${target}/`, `../node_modules/@lydell/node-pty-${target}/`], "pty.node");
}
