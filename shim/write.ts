/** Writes the shim: a directory for each family, with one script a name and the marker that makes the whole directory ours. */
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { markerFile, shimFamilies } from "./fast-path/names.ts";
import { fastPath } from "./fast-path.ts";

/**
 * @param parent where; the directories in it are created, fresh. `flywheel` itself stands in the base too, so that
 * whoever is refused can type what is named.
 */
export async function writeShim(parent: string): Promise<void> {
  for (const { directory, names } of shimFamilies) {
    const family = join(parent, directory);
    await mkdir(family, { recursive: true });
    await writeFile(
      join(family, markerFile),
      "The GloriousFlywheel companion's shim: this whole directory is taken off PATH before a real tool runs.\n",
    );
    for (const name of names) await writeFile(join(family, name), fastPath(name), { mode: 0o755 });
  }
  await symlink("../bin/flywheel", join(parent, "shim/flywheel"));
}
