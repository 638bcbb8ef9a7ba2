/** Whose shell is started, and with what, so that the guard comes first also after its own start files. */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { userInfo } from "node:os";
import { basename } from "node:path";
import type { StatusReport } from "../../contract/api.ts";
import type { Environment } from "../../contract/environment.ts";
import { attachmentPath, type Paths } from "../../contract/paths.ts";
import { isProgram } from "../../shim/tool.ts";
import { shellFiles, shimDirectory } from "../package.ts";
import { fishQuoted } from "./quote.ts";

export interface ShellProgram {
  readonly file: string;
  readonly args: readonly string[];
  /** What its start files are told; they take it out of the environment. */
  readonly told: Readonly<Record<string, string>>;
  /** Whether it puts the shim first and follows the attachment by itself. */
  readonly follows: boolean;
  /** What it writes before each prompt: nobody else knows how to. */
  readonly mark: Buffer;
}

export type LoginWish = "login" | "as-usual";

export function loginFlags(wish: LoginWish): readonly string[] {
  return wish === "login" ? ["-l"] : [];
}

/** SHELL, else the user's own of the system, else sh: the first that is a program and lets anybody in. */
export function userShell(env: Environment): string {
  const known = [env["SHELL"], systemShell()].filter((file) => file !== undefined && file !== null);
  const open = known.filter((file) => !["nologin", "false"].includes(basename(file)));
  return open.find((file) => file.startsWith("/") && isProgram(file)) ?? "/bin/sh";
}

function systemShell(): string | null | undefined {
  try {
    return userInfo().shell;
  } catch {
    // A user whom the system does not know.
    return undefined;
  }
}

/** @param seen what was published when the environment was made (publishedNow) */
export function shellProgram(file: string, wish: LoginWish, { env, seen }: { env: Environment; seen: string }): ShellProgram {
  const { start, hook } = shellFiles();
  const nonce = randomBytes(16).toString("hex");
  const login = loginFlags(wish);
  const told = { GF_SHELL_MARK: nonce, GF_SHELL_SHIM: shimDirectory(), GF_SHELL_HOOK: hook, GF_SHELL_SEEN: seen };
  const mark = Buffer.from(`\u001b]7717;prompt;${nonce}\u0007`, "latin1");
  switch (basename(file)) {
    case "bash":
      return {
        file,
        args: ["--rcfile", `${start}bash.sh`, "-i"],
        told: wish === "login" ? { ...told, GF_SHELL_LOGIN: "1" } : told,
        follows: true,
        mark,
      };
    case "zsh": {
      const own = env["ZDOTDIR"] === undefined ? {} : { GF_SHELL_ZDOTDIR: env["ZDOTDIR"] };
      return { file, args: [...login, "-i"], told: { ...told, ...own, ZDOTDIR: `${start}zsh` }, follows: true, mark };
    }
    case "fish":
      return { file, args: [...login, "-i", "-C", `source ${fishQuoted(`${start}fish.fish`)}`], told, follows: true, mark };
    default:
      return { file, args: login, told: {}, follows: false, mark };
  }
}

/**
 * What is published, as the start files read it, so that they know what is news. Where that is not what the environment
 * was made from, it is nothing that they could read: then they ask at the first prompt.
 */
export function publishedNow(paths: Paths, profile: string, report: StatusReport): string {
  let seen = "";
  for (const kind of ["bazel", "nix"] as const) {
    const lines = linesOf(attachmentPath(paths, profile, kind));
    const endpoint = lines.find((line) => line.startsWith("endpoint "))?.slice("endpoint ".length);
    const attached = report[kind].state === "attached" ? report[kind].endpoint : null;
    if ((endpoint ?? "none") !== (attached ?? "none")) return "?";
    seen += lines.map((line) => ` ${line}`).join("");
  }
  return seen;
}

function linesOf(file: string): string[] {
  try {
    return readFileSync(file, "latin1")
      .split("\n")
      .filter((line) => /^(?:state|endpoint) /.test(line));
  } catch {
    return [];
  }
}
