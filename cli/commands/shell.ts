import { isatty } from "node:tty";
import { FlywheelError } from "../../contract/errors.ts";
import { Exit } from "../../contract/exit.ts";
import { printable } from "../../contract/text.ts";
import { isProgram } from "../../shim/tool.ts";
import { defineCommand } from "../command.ts";
import { enteredEnvironment } from "../shell/environment.ts";
import { outerShell } from "../shell/nested.ts";
import { loginFlags, publishedNow, shellProgram, userShell } from "../shell/program.ts";
import { refuseBrokenWords, replaceProcess } from "../tool.ts";

export default defineCommand({
  name: "shell",
  summary: "your own shell with the guard on PATH and the attachment in its environment",
  details:
    "For those without a devshell. bash, zsh and fish read your own start files first, and then follow the attachment: a change is told once, before a prompt. Other shells get the environment as it is now. The terminal's title says where it stands, unless a program inside sets its own. A command runs in place of flywheel, with nothing between it and the terminal.",
  arguments: [{ name: "[command...]", summary: "what to run instead of the shell, and its arguments" }],
  options: {
    login: { flag: "-l, --login", summary: "a login shell" },
    status: { flag: "--status", summary: "a line about the attachment before each prompt" },
    noTitle: { flag: "--no-title", summary: "leave the terminal's title alone" },
  },
  examples: [
    { line: "flywheel shell", does: "the shell that SHELL names; exit leaves it" },
    { line: "flywheel shell --status", does: "with a line about the attachment before each prompt" },
    { line: "flywheel shell -- make all", does: "one command in that environment; the exit code is its own" },
  ],
  exits: [
    { code: Exit.failed, means: "this is such a shell already; else the shell's or the command's own code" },
    { code: Exit.notFound, means: "there is no such command" },
  ],
  async run(context, { login, status, noTitle }, [command, ...args]) {
    const { env, output, paths, profile } = context;
    const wish = login ? "login" : "as-usual";
    const terminal = isatty(0) && isatty(1) && isatty(2);
    if (command !== undefined) {
      if (login || status || noTitle)
        throw new FlywheelError("usage", "--login, --status and --no-title are for a shell, not for a command", {
          next: "flywheel shell -- <command>",
        });
      refuseBrokenWords(args, "flywheel shell, and the command in it");
      const { environment, words } = await enteredEnvironment(context);
      const file = programNamed(command, environment["PATH"] ?? "");
      if (isatty(2)) output.notice(words);
      return replaceProcess(file, args, environment);
    }
    const outer = outerShell(env);
    if (outer !== undefined) {
      output.notice(`flywheel: this is a shell of flywheel shell already (pid ${outer}); a second one inside would add nothing`);
      output.notice('  next: go on here, or leave it with exit; with another profile: flywheel shell --profile <name> -- "$SHELL"');
      return Exit.failed;
    }
    const file = userShell(env);
    const entered = await enteredEnvironment(context);
    const { environment, report } = entered;
    output.notice(entered.words);
    // Redirected, it is no place to type: the shell reads its commands there, and each byte of its output is its own.
    if (!terminal) return replaceProcess(file, loginFlags(wish), environment);
    const shell = shellProgram(file, wish, { env: environment, seen: publishedNow(paths, profile, report) });
    if (!shell.follows)
      output.notice(`flywheel: ${printable(file, 100)} gets this environment as it is now: it does not follow the attachment`);
    const { runShell } = await import("../shell/run.ts");
    return runShell(context, shell, entered, { status: status ? "shown" : "hidden", title: noTitle ? "left-alone" : "ours" });
  },
});

/** @throws FlywheelError `tool-not-found` */
function programNamed(command: string, path: string): string {
  const places = command.includes("/") ? [command] : path.split(":").map((directory) => `${directory || "."}/${command}`);
  const file = places.find(isProgram);
  if (file !== undefined) return file;
  throw new FlywheelError("tool-not-found", `there is no program ${printable(command, 100)} on PATH`, {
    next: 'name a program, or let a shell find it: flywheel shell -- sh -c "…"',
  });
}
