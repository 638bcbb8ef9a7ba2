/** Commands that go past the cache: Bazel through `nix develop --command`, and what documentation tells people to type. */
import type { Call, Script } from "../model.ts";
import type { ParityLine } from "../report.ts";
import { heavyCalls, jobsOnce, linesOf, placesOf, type Rule, takesPart, type World } from "./rule.ts";

const nixLine = linesOf("nix-develop-bazel");
const rawLine = linesOf("raw-bazel");

export const nixDevelopBazel: Rule = {
  id: "nix-develop-bazel",
  look(world) {
    // Its own devshell has the guard as `bazel`.
    if (world.repository.flake?.guarded === true || !takesPart(world)) return [];
    const calls = [...jobsOnce(world.repository), ...world.repository.scripts].flatMap((of) => heavyCalls(of, "bazel"));
    const plain = calls.filter(
      ({ way, inNixShell, args }) => way === "plain" && inNixShell && !args.some(({ text }) => text.startsWith("--remote_cache=")),
    );
    return distinctCalls(plain).map((call) =>
      nixLine("drift", `nix develop … --command ${call.name} ${call.command}`, {
        places: [call.place],
        why: "a plain Bazel inside it takes no endpoint from the environment: it builds alone",
        next: `nix develop … --command flywheel exec -- bazel ${call.command} …`,
      }),
    );
  },
};

const rawCommands = new Set(["build", "test", "run", "coverage"]);
const printers = new Set(["echo", "printf", "cat"]);

export const rawBazel: Rule = {
  id: "raw-bazel",
  look(world) {
    // In its own devshell the guard is `bazel`.
    if (!takesPart(world) || world.repository.flake?.guarded === true) return [];
    const read = world.repository.scripts.filter(({ kind }) => kind === "docs" || kind === "shell-hook");
    const calls = read.flatMap(({ calls }) =>
      calls.filter((call) => call.tool === "bazel" && call.way === "plain" && !call.inNixShell && rawCommands.has(call.command)),
    );
    const printed = read.filter(({ kind }) => kind === "shell-hook").flatMap(printedCalls);
    const groups = Map.groupBy([...calls.map(({ command, place }) => ({ command, place })), ...printed], ({ command }) => command);
    return [...groups].map(
      ([command, of]): ParityLine =>
        rawLine("drift", `people are told to type a plain bazel ${command}`, {
          places: placesOf(of),
          why: "where no guard stands on PATH, it builds alone and nobody notices",
          next: suggestion(world, command),
        }),
    );
  },
};

/** What a shell hook shows people when they enter. */
function printedCalls({ commands }: Script): readonly { readonly command: string; readonly place: Call["place"] }[] {
  return commands.flatMap(({ words, place }) => {
    if (!printers.has(words[0]?.text ?? "")) return [];
    const match = /\bbazel(?:isk)? (build|test|run|coverage)\b/.exec(words.map(({ text }) => text).join(" "));
    return match === null ? [] : [{ command: match[1] ?? "", place }];
  });
}

function suggestion({ repository }: World, command: string): string {
  const recipe = repository.scripts.find(({ kind, name }) => kind === "recipe" && name === `bazel-${command}-cached`);
  return recipe === undefined ? `flywheel exec -- bazel ${command} …` : `just ${recipe.name}`;
}

function distinctCalls(calls: readonly Call[]): readonly Call[] {
  return [...new Map(calls.map((call) => [`${call.place.file}:${call.place.line}:${call.command}`, call])).values()];
}
