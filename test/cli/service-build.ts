/** A second install of flywheel on the machine, of another version: built from these sources, as the first one was. */
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../..");

/**
 * @param directory where the package is to lie; what lies there is replaced in one step, as an upgrade would
 * @param api the API's version, where it is to be another one too
 * @returns its `flywheel`
 */
export async function installVersion(directory: string, version: string, api?: number): Promise<string> {
  const sources = mkdtempSync(join(tmpdir(), "gf-build-"));
  try {
    for (const each of ["contract", "daemon", "shim", "cli", "build.ts"])
      cpSync(join(root, each), join(sources, each), { recursive: true });
    // What the build copies for `flywheel shell`.
    cpSync(join(root, "nix/shell-hook.sh"), join(sources, "nix/shell-hook.sh"));
    symlinkSync(join(root, "node_modules"), join(sources, "node_modules"));
    const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    writeFileSync(join(sources, "package.json"), JSON.stringify({ ...manifest, version }));
    if (api !== undefined) {
      const file = join(sources, "contract/api.ts");
      writeFileSync(file, readFileSync(file, "utf8").replace(/^(export const apiVersion) = \d+;$/m, `$1 = ${api};`));
    }
    await run(process.execPath, ["build.ts"], { cwd: sources });
    // As in a package of its own: the launcher looks there first.
    cpSync(process.execPath, join(sources, "dist/lib/node"));
    mkdirSync(directory, { recursive: true });
    const fresh = join(directory, ".dist");
    cpSync(join(sources, "dist"), fresh, { recursive: true });
    const dist = join(directory, "dist");
    rmSync(dist, { recursive: true, force: true });
    renameSync(fresh, dist);
    return join(dist, "bin/flywheel");
  } finally {
    rmSync(sources, { recursive: true, force: true });
  }
}
