/** The user's configuration files, read from their place; what is in them is contract/config.ts's business. */
import { type Config, parseConfig, parseProfile } from "../../../contract/config.ts";
import { FlywheelError } from "../../../contract/errors.ts";
import type { Paths } from "../../../contract/paths.ts";
import type { Profile } from "../../../contract/profile.ts";
import { profileName } from "../../../contract/published.ts";
import { printable } from "../../../contract/text.ts";
import { readBounded } from "./bounded.ts";
import { isErrno, reasonOf } from "./errno.ts";

/** A configuration file larger than this is a mistake: bytes. */
const largestSettings = 1_048_576;

/**
 * config.toml, or the defaults where there is none.
 * @throws FlywheelError `config-invalid`, naming file and line
 */
export function loadConfig(paths: Paths): Config {
  const file = `${paths.config}/config.toml`;
  return parseConfig(readSettings(file) ?? "", file);
}

/**
 * profiles/<name>.toml; `default` and `gloriousflywheel` are built in where they have no file.
 * @throws FlywheelError `config-invalid`, naming file and line
 */
export function loadProfile(paths: Paths, name: string): Profile {
  if (!profileName.test(name)) {
    throw new FlywheelError("config-invalid", `${printable(name, 40)} is no profile name`, {
      next: "use lower-case letters, digits and dashes, at most 32",
    });
  }
  const file = `${paths.config}/profiles/${name}.toml`;
  return parseProfile(name, readSettings(file), file);
}

/** @returns the text, or undefined where there is no such file */
function readSettings(file: string): string | undefined {
  try {
    return readBounded(file, largestSettings).toString("utf8");
  } catch (error) {
    if (isErrno(error) && error.code === "ENOENT") return undefined;
    throw new FlywheelError("config-invalid", `${file} cannot be read (${reasonOf(error)})`, {
      next: `mend or remove ${file}`,
      cause: error,
    });
  }
}
