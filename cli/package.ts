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
