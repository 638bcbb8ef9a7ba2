/** The tables beside the grammar that a real Nix prints of itself, and beside its own parser. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import {
  nixCommandClasses,
  nixGroups,
  nixLetters,
  nixOneWordOptions,
  nixTwoWordOptions,
  oneWordOptions,
  restOptions,
  takesRest,
  twoWordOptions,
} from "../../../contract/nix/commands.ts";
import { nixRows } from "../../fixtures/nix/rows.ts";
import { programOnPath, required } from "../../fixtures/peers.ts";

const nix = programOnPath("nix");

interface Flag {
  readonly shortName?: string;
  readonly labels?: readonly string[];
}
interface Grammar {
  readonly flags?: Readonly<Record<string, Flag>>;
  readonly commands?: Readonly<Record<string, Grammar>>;
}

let root: string;
let env: Record<string, string>;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "gf-ng-"));
  env = {
    PATH: process.env["PATH"] ?? "",
    HOME: root,
    NIX_STORE_DIR: join(root, "store"),
    NIX_STATE_DIR: join(root, "var"),
    NIX_LOG_DIR: join(root, "log"),
    NIX_CONF_DIR: join(root, "etc"),
    NIX_CONFIG: "experimental-features = nix-command flakes\nsubstituters =",
  };
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** `nix __dump-args` up to 2.18 or so, `nix __dump-cli` after. */
function grammar(path: string): Grammar {
  try {
    return JSON.parse(execFileSync(path, ["__dump-args"], { env, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })) as Grammar;
  } catch {
    return (JSON.parse(execFileSync(path, ["__dump-cli"], { env, encoding: "utf8" })) as { args: Grammar }).args;
  }
}

/** Every command, with all flags that it has. */
function commandsOf(node: Grammar, path: readonly string[] = []): [string, Readonly<Record<string, Flag>>][] {
  const own: [string, Readonly<Record<string, Flag>>][] = path.length === 0 ? [] : [[path.join(" "), node.flags ?? {}]];
  return [...own, ...Object.entries(node.commands ?? {}).flatMap(([name, each]) => commandsOf(each, [...path, name]))];
}

it("the installed Nix has no command that the table lacks", ({ skip }) => {
  const known = new Set([...Object.keys(nixCommandClasses), ...nixGroups]);
  const all = commandsOf(grammar(required(nix, skip))).map(([name]) => name);
  expect(all.length).toBeGreaterThan(80);
  expect(all.filter((name) => !known.has(name))).toEqual([]);
});

it("every option of every guarded command takes as many words as the tables say", ({ skip }) => {
  const whole = grammar(required(nix, skip));
  const one = new Set([...oneWordOptions, ...nixOneWordOptions]);
  const two = new Set([...twoWordOptions, ...nixTwoWordOptions]);
  const faults: string[] = [];
  let seen = 0;
  const check = (command: string, name: string, words: number): void => {
    seen += 1;
    if (takesRest.includes(command) && restOptions.includes(name)) return;
    const said = two.has(name) ? 2 : one.has(name) ? 1 : 0;
    if (said !== words) faults.push(`${command}: ${name} takes ${words}, the tables say ${said}`);
  };
  const checkAll = (command: string, flags: Readonly<Record<string, Flag>>): void => {
    for (const [name, { shortName, labels = [] }] of Object.entries(flags)) {
      check(command, `--${name}`, labels.length);
      if (shortName !== undefined) check(command, `-${shortName}`, labels.length);
      if (shortName !== undefined && labels.length > 0 && nixLetters.includes(shortName)) faults.push(`-${shortName} takes a value`);
    }
  };
  checkAll("nix", whole.flags ?? {});
  for (const [command, flags] of commandsOf(whole)) if (nixCommandClasses[command] !== "light") checkAll(command, flags);
  expect(faults).toEqual([]);
  expect(seen).toBeGreaterThan(600);
});

/**
 * Nix complains of the first flag that it does not know, before it does anything: behind the words of a row it names
 * the probe only if none of them swallowed it and every one was understood.
 */
it("Nix's own parser comes to the end of each row where the tables do", { timeout: 60_000 }, ({ skip }) => {
  const path = required(nix, skip);
  const all = commandsOf(grammar(path)).map(([name]) => name);
  const rows = nixRows.filter(({ tool, args }) => {
    // --inputs-from reads a flake as soon as it is met.
    const ends = args.some((word) => ["--", "-c", "--command", "--help", "--version", "--new-option", "--inputs-from"].includes(word));
    const first = args.filter((word) => !word.startsWith("-"))[0] ?? "";
    if (["nix-build", "nix-shell", "nix-instantiate"].includes(tool)) return !ends;
    return tool === "nix" && !ends && first !== "" && !first.startsWith("__") && first !== "help";
  });
  const odd: string[] = [];
  let understood = 0;
  for (const { line, tool, args } of rows) {
    const run = spawnSync(join(dirname(path), tool), [...args, "--flywheel-probe"], { env, cwd: root, encoding: "utf8", input: "" });
    // Even into a pipe, internal-json colours what it says.
    const stderr = run.stderr.replaceAll(/\\u001b\[[0-9;]*m/g, "");
    if (stderr.includes("unrecognised flag '--flywheel-probe'")) understood += 1;
    // A command or an option that this version does not have.
    else if (!/is not a recognised command|unrecognised flag '--?(?!flywheel)/.test(stderr)) odd.push(`${line}\n${stderr.slice(0, 200)}`);
  }
  expect(odd).toEqual([]);
  expect(understood).toBeGreaterThan(all.length);
});
