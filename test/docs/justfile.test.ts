/**
 * docs/examples/justfile.flywheel: every recipe of the fleet's names is there, and every line of it is one that the command
 * line takes. just itself is not needed: a recipe's line is run as just runs it, by `sh -cu LINE NAME ARGUMENT…`.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse, splitCommand } from "../../cli/parse.ts";
import { loadCommand } from "../../cli/registry.ts";
import { readCommandLine } from "../../contract/bazel/command-line.ts";
import { script } from "../shim/house.ts";

const file = join(import.meta.dirname, "../../docs/examples/justfile.flywheel");

interface Recipe {
  readonly name: string;
  readonly takesWords: boolean;
  readonly lines: readonly string[];
}

/** The part of just's grammar that the file keeps to: attributes, `name *args='default':`, and indented lines. */
function recipesOf(text: string): readonly Recipe[] {
  const recipes: { name: string; takesWords: boolean; lines: string[] }[] = [];
  for (const line of text.split("\n")) {
    const head = /^([a-z][a-z-]*)( \*args(?:='[^']*')?)?:$/.exec(line);
    if (head !== null) recipes.push({ name: head[1] ?? "", takesWords: head[2] !== undefined, lines: [] });
    else if (line.startsWith("    ")) recipes.at(-1)?.lines.push(line.slice(4));
    else expect(line, "a line that this parser does not know").toMatch(/^(?:#.*|\[positional-arguments\]|)$/);
  }
  return recipes;
}

const recipes = recipesOf(readFileSync(file, "utf8"));
const words = ["//a:b", "--test_arg=two words", "$(id)", "*", "--", "it's"];
let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "gf-just-"));
  // Says what it was called with, one call a line, one word between NULs.
  script(join(directory, "flywheel"), `{ printf '%s\\0' "$@"; echo; } >>"$CALLS"`);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function callsOf({ name, lines, takesWords }: Recipe): readonly (readonly string[])[] {
  const calls = join(directory, `calls-${name}`);
  for (const line of lines) {
    const ran = spawnSync("sh", ["-cu", line, name, ...(takesWords ? words : [])], {
      encoding: "utf8",
      env: { PATH: `${directory}:/usr/bin:/bin`, CALLS: calls },
    });
    expect([ran.status, ran.stderr], `${name}: ${line}`).toEqual([0, ""]);
  }
  return readFileSync(calls, "utf8")
    .split("\0\n")
    .slice(0, -1)
    .map((call) => call.split("\0"));
}

test("has the fleet's names", () => {
  const own = ["enroll", "doctor", "verify", "info", "build", "test", "run", "coverage", "fetch", "check", "bazel", "consumer-env"];
  const names = [
    ...[...own, "enrollment-contract-check", "runner-selftest"].map((name) => `flywheel-${name}`),
    ...["cache-contract", "cache-contract-strict", "cache-contract-strict-nix", "attic-cache-authority-check"],
    ...["bazel-build-cached", "bazel-test-cached"],
  ];
  expect(recipes.map(({ name }) => name).toSorted()).toEqual(names.toSorted());
});

test("loads no .env and reads no endpoint of its own (the public repositories' rule)", () => {
  expect(readFileSync(file, "utf8")).not.toMatch(/^\s*set |dotenv-load|\bsource\b|BAZEL_REMOTE_CACHE|grpcs?:\/\//m);
});

describe.each(recipes)("$name", (recipe) => {
  test("is what the command line takes, word for word", async () => {
    const calls = callsOf(recipe);
    expect(calls.length).toBeGreaterThanOrEqual(recipe.lines.length);
    for (const call of calls) {
      const { name = "", rest } = splitCommand(call);
      const command = await loadCommand(name);
      if (command === undefined) throw new Error(`there is no command ${name}`);
      // enroll and doctor take options of their own, and no tool's words.
      const own = rest.filter((word) => name === "exec" || !words.includes(word));
      const parsed = parse(command, own);
      if (parsed.kind !== "run") throw new Error("it asks for help");
      if (name !== "exec") continue;
      const [tool, ...args] = parsed.args;
      expect(tool).toBe("bazel");
      expect(args.slice(-words.length)).toEqual(words);
    }
  });

  test("asks the guard for the class that its name promises", () => {
    const exec = callsOf({ ...recipe, name: `${recipe.name}-class` }).find(([name]) => name === "exec");
    if (exec === undefined || recipe.name === "flywheel-bazel") return;
    const line = readCommandLine(exec.slice(exec.indexOf("bazel") + 1, -words.length));
    const promised = recipe.name.replace(/^(?:flywheel|bazel)-|-cached$/g, "");
    expect(line.command).toBe(promised === "check" ? "test" : promised);
    expect(line.kind).toBe(["info", "fetch"].includes(promised) ? "pass" : "heavy");
  });
});
