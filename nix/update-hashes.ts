/**
 * Writes nix/hashes.json: the hash of node_modules for each system, and of the package-lock.json that they belong to.
 * To be run after each change of package-lock.json: `node nix/update-hashes.ts`. With --check it writes nothing and
 * fails where the file is not what it would write: the lock's hash for all, node_modules for this machine's system.
 * Needs npm, its registry, and nix (for the hash alone).
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { arch, platform, tmpdir } from "node:os";
import { join } from "node:path";

const here = import.meta.dirname;
const root = join(here, "..");
const file = join(here, "hashes.json");

/** What npm calls a system (`npm help config`: os, cpu, libc), by what Nix calls it. */
const targets = {
  "aarch64-darwin": { os: "darwin", cpu: "arm64", libc: "" },
  "aarch64-linux": { os: "linux", cpu: "arm64", libc: "glibc" },
  "x86_64-darwin": { os: "darwin", cpu: "x64", libc: "" },
  "x86_64-linux": { os: "linux", cpu: "x64", libc: "glibc" },
} as const;
export type System = keyof typeof targets;
export const systems = Object.keys(targets) as System[];

export interface Hashes {
  /** SHA-256 of package-lock.json, hexadecimal, as builtins.hashFile gives it. */
  readonly lock: string;
  /** `hash`: SRI, of a directory that holds node_modules alone. */
  readonly systems: Readonly<Record<string, { readonly os: string; readonly cpu: string; readonly libc: string; readonly hash: string }>>;
}

export function readHashes(): Hashes {
  return JSON.parse(readFileSync(file, "utf8")) as Hashes;
}

export function lockHash(): string {
  return createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");
}

/** Installs node_modules for a system, in a directory of its own, and gives its hash as Nix computes it. */
export function nodeModulesHash(system: System): string {
  const directory = mkdtempSync(join(tmpdir(), "gf-hash-"));
  try {
    for (const name of ["package.json", "package-lock.json", ".npmrc"]) copyFileSync(join(root, name), join(directory, name));
    const { os, cpu, libc } = targets[system];
    execFileSync("sh", [join(here, "node-modules.sh"), os, cpu, libc], { cwd: directory, stdio: ["ignore", "ignore", "inherit"] });
    for (const name of ["package.json", "package-lock.json", ".npmrc"]) rmSync(join(directory, name));
    const flags = ["--extra-experimental-features", "nix-command"];
    return execFileSync("nix", [...flags, "hash", "path", "--type", "sha256", "--sri", directory], { encoding: "utf8" }).trim();
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** This machine's, where it is one of those that there is a package for. */
export function ownSystem(): System | undefined {
  const own = Object.entries(targets).find(([, { os, cpu }]) => os === platform() && cpu === arch());
  return systems.find((system) => system === own?.[0]);
}

/** @returns what is wrong with hashes.json, in words; undefined where nothing is */
export function fault(hashes: Hashes): string | undefined {
  if (hashes.lock !== lockHash()) return "package-lock.json has changed since nix/hashes.json was written";
  const names = Object.keys(hashes.systems).sort();
  if (names.join() !== systems.join()) return `nix/hashes.json is for ${names.join(", ")} instead of ${systems.join(", ")}`;
  const system = ownSystem();
  if (system === undefined) return undefined;
  const found = nodeModulesHash(system);
  const written = hashes.systems[system]?.hash;
  return found === written ? undefined : `node_modules for ${system} is ${found}, and nix/hashes.json says ${written}`;
}

function main(args: readonly string[]): number {
  if (args[0] === "--check" && args.length === 1) {
    const words = fault(readHashes());
    if (words === undefined) return 0;
    process.stderr.write(`${words}\n  next: node nix/update-hashes.ts\n`);
    return 1;
  }
  if (args.length > 0) {
    process.stderr.write("usage: node nix/update-hashes.ts [--check]\n");
    return 2;
  }
  const hashes: Hashes = {
    lock: lockHash(),
    systems: Object.fromEntries(systems.map((system) => [system, { ...targets[system], hash: nodeModulesHash(system) }])),
  };
  // In one step: a half-written one would be believed.
  writeFileSync(`${file}.new`, `${JSON.stringify(hashes, undefined, 2)}\n`);
  renameSync(`${file}.new`, file);
  return 0;
}

if (process.argv[1] === import.meta.filename) process.exitCode = main(process.argv.slice(2));
