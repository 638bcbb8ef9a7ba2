/** Writes the shim's directory: one script a name, and the marker that makes the whole directory ours. */
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { markerFile, shimNames } from "./fast-path/names.ts";
import { fastPath } from "./fast-path.ts";

/** @param directory where; created, fresh. `flywheel` itself stands in it too, so that whoever is refused can type what is named. */
export async function writeShim(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  await writeFile(
    join(directory, markerFile),
    "The GloriousFlywheel companion's shim: this whole directory is taken off PATH before a real tool runs.\n",
  );
  for (const name of shimNames) await writeFile(join(directory, name), fastPath(name), { mode: 0o755 });
  await symlink("../bin/flywheel", join(directory, "flywheel"));
}
