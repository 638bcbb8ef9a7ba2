/** Where this package lies: it runs from cli/ as source and from dist/lib/ as a bundle. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { FlywheelError } from "../contract/errors.ts";
import { markerFile } from "../shim/fast-path/names.ts";

function find(places: readonly string[], file: string): string | undefined {
  return places.map((place) => fileURLToPath(new URL(place, import.meta.url))).find((place) => existsSync(`${place}${file}`));
}

/**
 * The directory that goes first on PATH, absolute, without a last slash.
 * @throws FlywheelError `internal` where the package was not built
 */
export function shimDirectory(): string {
  const found = find(["../shim/", "../dist/shim/"], markerFile);
  if (found === undefined) throw new FlywheelError("internal", "the shim was not built", { next: "npm run build" });
  return found.replace(/\/$/, "");
}
