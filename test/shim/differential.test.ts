/** sh and TypeScript judge the same argument lists alike: the fast path's sh beside contract/bazel/quick.ts, and that beside the slow path's reading. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { readCommandLine } from "../../contract/bazel/command-line.ts";
import {
  booleanOptions,
  cacheOptions,
  commandClasses,
  nullaryStartupOptions,
  unaryOptions,
  unaryStartupOptions,
} from "../../contract/bazel/commands.ts";
import { quickJudgement } from "../../contract/bazel/quick.ts";
import { type Answers, callAll, quoted } from "./calls.ts";
import { attachedFlags, buildHouse, type House, shells } from "./house.ts";

let house: House;
let scratch: string;
beforeAll(async () => {
  house = await buildHouse();
  scratch = mkdtempSync(join(tmpdir(), "gf-differential-"));
});
afterAll(() => {
  house.remove();
  rmSync(scratch, { recursive: true, force: true });
});

const startup = fc.oneof(
  fc.constantFrom(...unaryStartupOptions).map((name) => `--${name}`),
  fc.constantFrom(...unaryStartupOptions).map((name) => `--${name}=v`),
  fc.constantFrom(...nullaryStartupOptions).map((name) => `--${name}`),
  fc.constantFrom(...nullaryStartupOptions).map((name) => `--no${name}`),
  fc.constantFrom(
    "--strict",
    "--migrate",
    "--bisect=a..b",
    "--unknown",
    "--unknown=v",
    "-c",
    "--",
    "-",
    "-h",
    "--version",
    "--help",
    "--print_env",
  ),
);
const option = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...booleanOptions).chain((name) => fc.constantFrom(`--${name}`, `--no${name}`, `--${name}=0`)) },
  { weight: 3, arbitrary: fc.constantFrom(...unaryOptions).chain((name) => fc.constantFrom(name, `${name}=v`)) },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(...cacheOptions)
      .chain((name) => fc.constantFrom(`--${name}`, `--no${name}`, `--${name}=`, `--${name}=grpc://x:1`, `--x${name}`)),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      "-k",
      "-s",
      "-c",
      "-j",
      "-j4",
      "--",
      "--unknown",
      "--unknown=v",
      "--config=ci",
      "--config",
      "--=",
      "-=",
      "---",
      "--remote_timeout=60",
    ),
  },
);
const target = fc.oneof(
  fc.constantFrom(
    "//...",
    "//a:b",
    "-//a:c",
    "",
    " ",
    "$(id)",
    "`id`",
    "'",
    '"',
    "\\",
    "*",
    "a\nb",
    "~",
    "#",
    ";",
    "é",
    "--x y",
    "build",
    "a=b",
    "!",
  ),
  fc.string({ minLength: 0, maxLength: 6 }).filter((text) => !text.includes("\0")),
);
const command = fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...Object.keys(commandClasses)) }, { weight: 1, arbitrary: target });
const argumentList = fc
  .tuple(fc.array(startup, { maxLength: 3 }), command, fc.array(fc.oneof(option, option, target), { maxLength: 8 }))
  .map(([before, word, behind]) => [...before, word, ...behind]);
const heavyList = fc
  .tuple(
    fc.array(startup, { maxLength: 1 }),
    fc.constantFrom("build", "test", "run", "coverage"),
    fc.array(fc.oneof(option, target), { maxLength: 8 }),
  )
  .map(([before, word, behind]) => [...before, word, ...behind]);

/** What the tool got for each list: its words, or undefined where sh asked the slow path. One sh calls the shim for all of them. */
async function throughShell(shell: readonly string[], lists: readonly (readonly string[])[]): Promise<Answers["words"]> {
  const calls = lists.map((list) => [...shell, join(house.shim, "bazel"), ...list].map(quoted).join(" "));
  return (await callAll(calls, { file: join(scratch, "calls"), env: house.env, cwd: house.work })).words;
}

/** What the tool should get by quick.ts. */
function expected(list: readonly string[]): string[] | undefined {
  const quick = quickJudgement(list);
  switch (quick.kind) {
    case "pass":
      return [...list];
    case "heavy":
      return list.toSpliced(quick.at, 0, ...attachedFlags);
    case "unclear":
      return undefined;
  }
}

async function compare(shell: readonly string[], seed: number, runs: number): Promise<void> {
  house.publish();
  // No list may hold \1, which ends an answer here; \0 cannot stand in an argument at all.
  const lists = fc.sample(fc.oneof(argumentList, heavyList), { seed, numRuns: runs }).filter((list) => !list.join("").includes("\u0001"));
  expect(lists.length).toBeGreaterThan(runs * 0.95);
  const answers = await throughShell(shell, lists);
  expect(answers.length).toBe(lists.length);
  for (const [index, list] of lists.entries()) expect({ seed, list, got: answers[index] }).toEqual({ seed, list, got: expected(list) });
  // The sample has to reach every outcome in numbers, or it proves little.
  const kinds = lists.map((list) => quickJudgement(list).kind);
  for (const kind of ["pass", "heavy", "unclear"]) expect(kinds.filter((each) => each === kind).length).toBeGreaterThan(runs / 20);
}

it("dash and TypeScript agree on 5,600 generated argument lists", { timeout: 120_000 }, async () => {
  // Leases are 45 s long: publish anew for each batch.
  for (let batch = 0; batch < 7; batch += 1) await compare([], 2026 + batch, 800);
});

it.each(shells)("$name and TypeScript agree on 400 more", { timeout: 60_000 }, async ({ command: shell }) => {
  await compare(shell, 77, 400);
});

it("what the fast path is sure of, the slow path reads no differently", () => {
  fc.assert(
    fc.property(fc.oneof(argumentList, heavyList), (list) => {
      const quick = quickJudgement(list);
      const whole = readCommandLine(list);
      if (quick.kind === "pass") expect(whole.kind).toBe("pass");
      // Heavier than it need be is allowed to the fast path: `build --nobuild` is attached though it executes nothing.
      if (quick.kind === "heavy" && whole.kind === "heavy") expect(whole.at).toBe(quick.at);
      if (quick.kind === "heavy" && whole.kind === "pass") expect(whole.class).toBe("medium");
      if (quick.kind === "heavy") expect(whole.kind).not.toBe("unreadable");
    }),
    { numRuns: 5000 },
  );
});
