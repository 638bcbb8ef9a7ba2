/** Writes the shim's directory: one script a name, and the marker that makes the whole directory ours. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { bazelNames, fastPath, markerFile } from "./fast-path.ts";

/** @param directory where; created, and only its own files are written */
export async function writeShim(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  await writeFile(
    join(directory, markerFile),
    "The GloriousFlywheel companion's shim: this whole directory is taken off PATH before a real tool runs.\n",
  );
  for (const name of bazelNames) await writeFile(join(directory, name), fastPath(name), { mode: 0o755 });
}
