/** The keyring package's native part: its own loader is left out, since it looks only where npm puts things. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { FlywheelError } from "../../../../contract/errors.ts";

type Keyring = typeof import("@napi-rs/keyring");

/**
 * Loaded from beside the bundle, in the source tree from where npm put it.
 * @throws FlywheelError `keyring-missing` where there is none for this platform, or none that can be loaded
 */
export function nativeKeyring(): Keyring {
  const here = targets().flatMap(placesOf).filter(existsSync);
  const missing = (why: string, cause?: unknown): FlywheelError =>
    new FlywheelError("keyring-missing", `the keyring's native part ${why}`, {
      next: "keep secrets in files of yours (0600): flywheel login <endpoint> --store file",
      cause,
    });
  if (here.length === 0) throw missing(`is not in this package for ${process.platform}-${process.arch}`);
  let cause: unknown;
  for (const file of here) {
    try {
      return createRequire(import.meta.url)(file);
    } catch (error) {
      // The one for another C library; the next may be for this one.
      cause = error;
    }
  }
  throw missing("cannot be loaded on this system", cause);
}

/** As the package calls its platforms: on Linux with the C library, and which one this is the loading itself tells. */
function targets(): readonly string[] {
  const target = `${process.platform}-${process.arch}`;
  return process.platform === "linux" ? [`${target}-gnu`, `${target}-musl`] : [target];
}

function placesOf(target: string): readonly string[] {
  return [`./keyring/${target}/keyring.node`, `../../../../node_modules/@napi-rs/keyring-${target}/keyring.${target}.node`].map((place) =>
    fileURLToPath(new URL(place, import.meta.url)),
  );
}
