import { basename } from "node:path";
import { FlywheelError } from "../../contract/errors.ts";
import { Exit } from "../../contract/exit.ts";
import { printable } from "../../contract/text.ts";
import { realToolVariable, type ShimName, shimNames } from "../../shim/fast-path/names.ts";
import { findRealTool } from "../../shim/tool.ts";
import { defineCommand } from "../command.ts";
import type { Context } from "../context.ts";
import { confirmed, type Decision } from "../output/ask.ts";
import { shimDirectory } from "../package.ts";
import { pathBlock, type RcShell, rcShells, withBlock, withoutBlock } from "../rc/block.ts";
import { applyEdit, diff, type Edit, planEdit, rcFile } from "../rc/file.ts";
import { guardDirectories } from "../shell/path.ts";

export default defineCommand({
  name: "shim",
  summary: "put the guard in front of bazel and nix, take it away, or say where it is",
  details:
    "`install` adds a marked block to your shell's start file that puts the shim first on PATH: in front of bazel, and of nix, home-manager and their kind where they are; `uninstall` removes exactly that block. Both show the change first and ask.",
  arguments: [{ name: "<action>", summary: "what to do", choices: ["install", "uninstall", "path"] }],
  options: {
    shell: { flag: "--shell <shell>", summary: `${rcShells.join(", ")} or all (by SHELL)`, choices: [...rcShells, "all"] },
    dryRun: { flag: "--dry-run", summary: "show the change and make none" },
    yes: { flag: "--yes", summary: "do not ask" },
    real: { flag: "--real <tool>", summary: "with path: print the real tool instead", choices: shimNames },
  },
  examples: [
    { line: "flywheel shim install", does: "show the change, ask, and make it" },
    { line: "flywheel shim install --dry-run", does: "only show it" },
    { line: "flywheel shim uninstall", does: "take it out again, byte for byte" },
    { line: 'PATH="$(flywheel shim path):$PATH"', does: "for this shell alone" },
    { line: "flywheel shim path --real bazel", does: "what the shim would run" },
  ],
  exits: [
    { code: Exit.failed, means: "nothing was changed" },
    { code: Exit.notFound, means: "with --real: there is no such tool on PATH" },
  ],
  async run(context, { shell, dryRun, yes, real }, [action]) {
    if (action === "path") return printPath(context, real);
    if (real !== undefined) throw new FlywheelError("usage", "--real belongs to `shim path`", { next: "flywheel shim path --real bazel" });
    const directory = action === "install" ? shimDirectory() : undefined;
    const edits = chosenShells(context, shell).map((each) =>
      planEdit(rcFile(each, context.env, context.home), (content) =>
        directory === undefined
          ? content === undefined
            ? undefined
            : withoutBlock(content)
          : withBlock(content, pathBlock(each, directory)),
      ),
    );
    const changes = edits.filter((edit) => edit.before !== edit.after);
    const decision = await decide(context, changes, { dryRun, yes });
    if (decision === "agreed") for (const edit of changes) await applyEdit(edit);
    report(context, changes, decision);
    return decision === "declined" ? Exit.failed : Exit.ok;
  },
});

/** Where there is nothing to change, nothing is asked. */
async function decide({ output }: Context, changes: readonly Edit[], given: { dryRun: boolean; yes: boolean }): Promise<Decision> {
  if (given.dryRun) return "dry-run";
  if (changes.length === 0) return "agreed";
  if (output.format === "human") for (const edit of changes) output.notice(diff(edit));
  return (await confirmed(output, "Make this change?", given)) ? "agreed" : "declined";
}

function report({ output }: Context, changes: readonly Edit[], decision: Decision): void {
  if (output.format === "json") {
    output.json({
      schema: 1,
      changed: decision === "agreed" && changes.length > 0,
      files: changes.map((edit) => ({ file: edit.file, diff: diff(edit) })),
    });
    return;
  }
  if (changes.length === 0) {
    output.line("nothing to change");
    return;
  }
  switch (decision) {
    case "agreed":
      output.line(`changed ${changes.map((edit) => edit.file).join(", ")}; open a new shell for it to take effect`);
      return;
    case "declined":
      output.notice("nothing was changed");
      return;
    case "dry-run":
      for (const edit of changes) output.line(diff(edit));
  }
}

function chosenShells({ env }: Context, asked: RcShell | "all" | undefined): readonly RcShell[] {
  if (asked === "all") return rcShells;
  if (asked !== undefined) return [asked];
  const name = basename(env["SHELL"] ?? "");
  const shell = rcShells.find((each) => each === name);
  if (shell !== undefined) return [shell];
  throw new FlywheelError("usage", `SHELL names ${printable(name, 40) || "nothing"}, whose start file is not known here`, {
    next: `say which: --shell ${rcShells.join("|")}|all`,
  });
}

function printPath({ env, output }: Context, real: ShimName | undefined): number {
  if (real === undefined) {
    const directory = shimDirectory();
    const path = guardDirectories(env).join(":");
    if (output.format === "json") output.json({ schema: 1, directory, path });
    else output.line(path);
    return Exit.ok;
  }
  const { file } = findRealTool(real, env);
  if (file === undefined)
    throw new FlywheelError("tool-not-found", `there is no ${real} on PATH`, {
      next: `install it, or name it in ${realToolVariable(real)}`,
    });
  if (output.format === "json") output.json({ schema: 1, tool: real, file });
  else output.line(file);
  return Exit.ok;
}
