/** The shell hook where the repository has a profile of its own: it follows that one's attachment, and no other's. */
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { expect, test } from "vitest";
import { programOnPath, required } from "../fixtures/peers.ts";
import { program } from "./shells.ts";

const hook = join(import.meta.dirname, "../../nix/shell-hook.sh");

test.for(["bash", "dash", "busybox sh", "zsh --emulate sh"])("%s", async (words, { skip }) => {
  const [name = "", ...flags] = words.split(" ");
  const shell = required(programOnPath(name), skip);
  const dir = realpathSync(mkdtempSync(join(tmpdir(), "gf-hook-")));
  try {
    for (const each of ["bin", "shim", "run/attachment/default", "run/attachment/lab"]) mkdirSync(join(dir, each), { recursive: true });
    writeFileSync(join(dir, "shim/.flywheel-shim"), "");
    // The real one's words for this are held by the command line's own test.
    program(join(dir, "bin/flywheel"), `#!/bin/sh\necho "$5" >>'${dir}/calls'\necho _flywheel_profile=lab\n`);
    const change = (profile: string, state: string): string => `echo 'state ${state}' >'${dir}/run/attachment/${profile}/bazel'`;
    const steps = [
      `. ${hook}`,
      "_flywheel_follow",
      change("default", "unattached"),
      "_flywheel_follow",
      change("lab", "shared-cache-backed"),
      "_flywheel_follow",
      "_flywheel_follow",
      "env",
    ];
    const { exitCode, stdout, stderr } = await execa(shell, [...flags, "-euc", steps.join("\n")], {
      env: { PATH: `${dir}/bin:/usr/bin:/bin`, HOME: dir, GF_RUNTIME_DIR: join(dir, "run") },
      extendEnv: false,
      reject: false,
      stdin: "ignore",
    });
    expect([exitCode, stderr]).toEqual([0, ""]);
    expect(readFileSync(join(dir, "calls"), "utf8")).toBe("enter\nfollow\n");
    expect(stdout).not.toContain("_flywheel_profile");
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
