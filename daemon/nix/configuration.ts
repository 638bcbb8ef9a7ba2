/** A nix.conf, the Nix daemon's or a user's, with what it includes (src/libutil/config.cc). */
import { statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { readBounded } from "../api/client/bounded.ts";
import { isErrno } from "../api/client/errno.ts";

export interface NixConfiguration {
  /** undefined: it is there, and cannot be read. */
  readonly text: string | undefined;
  readonly files: readonly string[];
}

/** One larger than this is no configuration: bytes. */
const largest = 1_048_576;
const mostFiles = 32;

/** The system's. @returns empty text where there is none: Nix's defaults hold then */
export function readNixConfiguration(confDir: string): NixConfiguration {
  return readNixConf(`${confDir}/nix.conf`);
}

/** One file of that form, the system's or a user's, with what it includes. @returns empty text where there is none */
export function readNixConf(main: string): NixConfiguration {
  const files: string[] = [];
  const lines = (file: string): string => {
    files.push(file);
    const text = readBounded(file, largest).toString("utf8");
    return text
      .split("\n")
      .map((line) => included(line, file) ?? line)
      .join("\n");
  };
  const included = (line: string, from: string): string | undefined => {
    const [, name] = /^\s*!?include\s+(\S+)\s*(?:#.*)?$/.exec(line) ?? [];
    if (name === undefined) return undefined;
    const file = resolve(dirname(from), name);
    if (files.includes(file) || files.length >= mostFiles) return "";
    try {
      return lines(file);
    } catch {
      // Absent, or kept from this user, as a file of tokens is.
      return "";
    }
  };
  let text: string | undefined;
  try {
    text = lines(main);
  } catch (error) {
    text = isErrno(error) && error.code === "ENOENT" ? "" : undefined;
  }
  return { text, files };
}

/** Another one once any of the files changed. Not the time alone: NixOS' is a link to a file of the store, and everything there is from 1970. */
export function stampOf(files: readonly string[]): string {
  return files
    .map((file) => {
      try {
        const { dev, ino, mtimeMs, size } = statSync(file);
        return `${dev}:${ino}:${mtimeMs}:${size}`;
      } catch {
        return "absent";
      }
    })
    .join(" ");
}
