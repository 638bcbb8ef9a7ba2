/** A second install of flywheel on the machine, of another version: the built one, with another version in its bundles. */
import { cpSync, globSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { version } from "../../contract/version.ts";

const dist = join(import.meta.dirname, "../../dist");

/**
 * @param directory where the package is to lie: an empty place
 * @param change another one of the API's versions, say
 * @returns its `flywheel`
 */
export function installVersion(directory: string, to: string, change: (code: string) => string = (code) => code): string {
  rmSync(join(directory, "dist"), { recursive: true, force: true });
  cpSync(dist, join(directory, "dist"), { recursive: true });
  // As the packaged one: the launcher looks there first.
  cpSync(process.execPath, join(directory, "dist/lib/node"));
  let found = 0;
  for (const file of globSync(join(dist, "lib/*.js"))) {
    const chunk = join(directory, "dist/lib", file.slice(file.lastIndexOf("/") + 1));
    const code = readFileSync(chunk, "utf8");
    const other = change(code.replace(`const version = "${version}"`, `const version = "${to}"`));
    if (other === code) continue;
    found += 1;
    writeFileSync(chunk, other);
  }
  if (found === 0) throw new Error("no bundle holds the version");
  return join(directory, "dist/bin/flywheel");
}
