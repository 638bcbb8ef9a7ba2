/** A user with a home, start files of the usual kind for each shell, and a terminal to open them in. */
import { chmodSync, copyFileSync, cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Outer, openTerminal } from "../../fixtures/pty/outer.ts";
import { built } from "../../fixtures/stage.ts";

export const shellNames = ["bash", "zsh", "fish", "dash"] as const;
export type ShellName = (typeof shellNames)[number];
/** Those with start files of ours. */
export const followingShells = ["bash", "zsh", "fish"] as const;

/** The start files put a directory of the user's own in front of PATH, have a hook before each prompt, and this prompt. */
export const prompt = "ready> ";

export interface House extends Disposable {
  /** The home, unless the environment that it was made with names another. */
  readonly dir: string;
  /** No daemon is started here, since CI is set, unless the environment that it was made with says otherwise. */
  readonly env: Readonly<Record<string, string>>;
  write(path: string, content: string | Buffer, mode?: number): string;
  /** `flywheel shell` with those arguments, in a terminal. */
  flywheel(shell: ShellName, args?: readonly string[], more?: Opening): Outer;
  /** Any program in a terminal of that user's. */
  open(file: string, args: readonly string[], more?: Opening): Outer;
  /** The same shell without us. */
  plain(shell: ShellName, more?: Opening): Outer;
  /** Names of everything in the home and the runtime directory. */
  files(): string[];
}

export interface Opening {
  readonly env?: Readonly<Record<string, string>>;
  readonly columns?: number;
  readonly rows?: number;
  readonly cwd?: string;
}

/** @param base for a stage's user: the stage's own environment */
export function makeHouse(base: Readonly<Record<string, string>> = {}): House {
  const dir = mkdtempSync(join(tmpdir(), "gf-shell-"));
  const env = {
    HOME: dir,
    PATH: "/usr/local/bin:/usr/bin:/bin",
    USER: "tester",
    LANG: "C.UTF-8",
    TERM: "xterm-256color",
    CI: "1",
    GF_CONFIG_DIR: join(dir, "config"),
    GF_STATE_DIR: join(dir, "state"),
    GF_RUNTIME_DIR: join(dir, "run"),
    GF_TAILSCALED_SOCKET: join(dir, "no-tailscaled"),
    ...base,
  };
  const home = env.HOME;
  const write = (path: string, content: string | Buffer, mode?: number): string => {
    const file = join(home, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
    if (mode !== undefined) chmodSync(file, mode);
    return file;
  };
  write(".bashrc", `PATH=$HOME/mine:$PATH\nPROMPT_COMMAND='hooked="$hooked$?"'\nPS1='${prompt}'\nHISTFILE=\n`);
  write(".profile", 'PATH=$HOME/profile:$PATH\n[ -n "$BASH_VERSION" ] && . ~/.bashrc\n');
  write(".zshenv", "zshenv=read\n");
  write(".zprofile", "zprofile=read\n");
  write(".zshrc", `PATH=$HOME/mine:$PATH\nprecmd() { hooked="$hooked$?" }\nPS1='${prompt}'\nunsetopt PROMPT_SP\n`);
  write(".zlogin", "zlogin=read\n");
  write(
    ".config/fish/config.fish",
    `set -gx PATH $HOME/mine $PATH\nfunction hooked_fn --on-event fish_prompt\n  set -g hooked "$hooked$status"\nend\nfunction fish_prompt; echo -n '${prompt}'; end\nfunction fish_greeting; end\nfunction fish_title; end\n`,
  );
  // Without it, fish's first start in a home reads all manuals in the background.
  mkdirSync(join(home, ".local/share/fish/generated_completions"), { recursive: true });
  const open = (file: string, args: readonly string[], { env: other, cwd, ...size }: Opening = {}): Outer =>
    openTerminal(file, args, { env: { ...env, ...other }, cwd: cwd ?? home, ...size });
  return {
    dir,
    env,
    write,
    open,
    flywheel: (shell, args = [], more = {}) =>
      open(built.flywheel, ["shell", ...args], { ...more, env: { SHELL: `/usr/bin/${shell}`, PS1: prompt, ...more.env } }),
    plain: (shell, more = {}) => open(`/usr/bin/${shell}`, [], { ...more, env: { SHELL: `/usr/bin/${shell}`, PS1: prompt, ...more.env } }),
    files: () => readdirSync(dir, { recursive: true, encoding: "utf8" }).toSorted(),
    [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }),
  };
}

/** Waits until the shell asks for the next line. */
export function ready(outer: Outer): Promise<void> {
  return outer.until((screen) => screen.endsWith(prompt.trimEnd()));
}

let asked = 0;

/** Types a line and gives what it printed. */
export async function ask(outer: Outer, line: string): Promise<string> {
  await ready(outer);
  asked += 1;
  const end = `end-${asked}-of-it`;
  // In two words, so that the echo of what is typed is not taken for it.
  outer.type(`printf '\\nbegin-${asked}\\n'; ${line}; echo ${end.slice(0, 5)}''${end.slice(5)}\r`);
  await outer.until(end);
  const text = outer.written().toString("latin1").replaceAll("\r", "");
  const from = text.lastIndexOf(`\nbegin-${asked}\n`) + `\nbegin-${asked}\n`.length;
  const found = text.slice(from, text.indexOf(end, from));
  await ready(outer);
  return found.endsWith("\n") ? found.slice(0, -1) : found;
}

/** The built package at another place, with the Node that runs this test. */
export function movedPackage(dir: string): string {
  const to = join(dir, "moved");
  cpSync(dirname(dirname(built.flywheel)), to, { recursive: true, verbatimSymlinks: true });
  copyFileSync(process.execPath, join(to, "lib/node"));
  return join(to, "bin/flywheel");
}
