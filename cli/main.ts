/** `flywheel`: finds the command, runs it, and turns what it throws into words and an exit code. */
import { homedir } from "node:os";
import { FlywheelError } from "../contract/errors.ts";
import { Exit } from "../contract/exit.ts";
import { pathsFrom } from "../contract/paths.ts";
import { printable } from "../contract/text.ts";
import { report } from "./failure.ts";
import { Output } from "./output/output.ts";
import { chooseProfile } from "./profile.ts";

async function main(argv: readonly string[]): Promise<number> {
  const own = argv.slice(0, argv.includes("--") ? argv.indexOf("--") : argv.length);
  // The guard speaks to sh: its arguments are not ours to read, and its errors are for people.
  const guard = argv[0] === "guard";
  let output = new Output(!guard && own.includes("--json") ? "json" : "human", process.env);
  let trace: "hidden" | "shown" = own.includes("--debug") ? "shown" : "hidden";
  try {
    if (guard) return await (await import("../shim/guard.ts")).runGuard(argv.slice(1));
    const { parse, splitCommand } = await import("./parse.ts");
    const { allCommands, loadCommand, registry } = await import("./registry.ts");
    const { name, rest } = splitCommand(argv);
    const asksHelp = name === "help" || (name === undefined && rest.some((word) => word === "-h" || word === "--help"));
    if (asksHelp && rest.every((word) => word.startsWith("-"))) {
      const { overview } = await import("./help.ts");
      output.raw(overview(await allCommands()));
      return Exit.ok;
    }
    const called = name === "help" ? { name: rest[0], rest: ["--help"] } : { name, rest };
    const asksVersion = name === undefined && rest.some((word) => word === "-V" || word === "--version");
    // Whoever sits at a terminal would rather look than read.
    const overviewName = output.screen && !process.env["CI"] ? "top" : "status";
    const commandName = asksVersion ? "version" : (called.name ?? overviewName);
    const command = await loadCommand(commandName);
    if (command === undefined) {
      const { didYouMean } = await import("./did-you-mean.ts");
      const meant = didYouMean(commandName, Object.keys(registry));
      throw new FlywheelError("usage", `there is no command ${printable(commandName, 60)}`, {
        next: meant === undefined ? "flywheel --help" : `flywheel ${meant}   (all commands: flywheel --help)`,
      });
    }
    const words = asksVersion ? rest.filter((word) => word !== "-V" && word !== "--version") : called.rest;
    const parsed = parse(command, words);
    if (parsed.kind === "help") {
      output.raw(parsed.text);
      return Exit.ok;
    }
    output = new Output(parsed.globals.json ? "json" : "human", process.env);
    trace = parsed.globals.debug ? "shown" : "hidden";
    const home = homedir();
    const paths = pathsFrom(process.env, home);
    const profileChoice = await chooseProfile(parsed.globals.profile, { env: process.env, paths, cwd: currentDirectory });
    const context = {
      env: process.env,
      // Read only when a command asks: a directory that is gone is no reason to keep the status from anybody.
      get cwd() {
        return currentDirectory();
      },
      home,
      paths,
      profile: profileChoice.profile,
      profileChoice,
      output,
    };
    const code = await command.run(context, parsed.values, parsed.args);
    if (name === undefined && commandName === "status" && output.interactive)
      output.notice(output.noticePaint.dim("flywheel --help lists the commands"));
    return code;
  } catch (error) {
    return report(error, output, trace);
  }
}

/** @throws FlywheelError `usage` where it was removed under this process */
function currentDirectory(): string {
  try {
    return process.cwd();
  } catch (error) {
    throw new FlywheelError("usage", "the current directory is not there any more", {
      next: "change to one that is, and repeat it",
      cause: error,
    });
  }
}

process.exitCode = await main(process.argv.slice(2));
