/** sh and TypeScript judge the same Nix command lines alike: the fast path's sh beside contract/nix's quick judgement, and that beside the slow path's reading. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { quickNixJudgement, readNixCommandLine } from "../../contract/nix/command-line.ts";
import {
  aloneOptions,
  isNixName,
  type NixName,
  nixCommandClasses,
  nixNames,
  nixOneWordOptions,
  nixTwoWordOptions,
  oneWordOptions,
  printingOptions,
  restOptions,
  sparingOptions,
  substitutionOptions,
  substitutionSettings,
  toolWords,
  twoWordOptions,
} from "../../contract/nix/commands.ts";
import { settingFlags, settingLines } from "../../contract/nix/injection.ts";
import { nixRows } from "../fixtures/nix/rows.ts";
import { type Answers, callAll, quoted } from "./calls.ts";
import { shells } from "./house.ts";
import { attachedSettings, buildNixHouse, type NixHouse } from "./nix-house.ts";

interface Line {
  readonly tool: NixName;
  readonly args: readonly string[];
}

let house: NixHouse;
let scratch: string;
beforeAll(async () => {
  house = await buildNixHouse();
  scratch = mkdtempSync(join(tmpdir(), "gf-nd-"));
  writeFileSync(join(house.work, "script"), "#!/usr/bin/env nix-shell\n#! nix-shell -i bash\n");
  writeFileSync(join(house.work, "expression"), "{ }\n#!");
  writeFileSync(join(house.work, "unended"), "#!nix-shell");
});
afterAll(() => {
  house.remove();
  rmSync(scratch, { recursive: true, force: true });
});

const word = fc.oneof(
  fc.constantFrom(".#x", "x", "", " ", "$(id)", "`id`", "'", '"', "\\", "*", "a\nb", "~", "#", ";", "é", "a=b", "!", "]", "[a]", "-"),
  fc.constantFrom("script", "expression", "unended", "switch", "dry-build", "build", "flake", "store ls", "--", "-c", "--command", "---"),
  fc.string({ minLength: 0, maxLength: 5 }).filter((text) => !text.includes("\0")),
);
const option = fc.oneof(
  fc.constantFrom(...oneWordOptions, ...nixOneWordOptions),
  fc.constantFrom(...twoWordOptions, ...nixTwoWordOptions),
  fc.constantFrom(...aloneOptions),
  fc.constantFrom(...substitutionOptions, ...sparingOptions, ...restOptions, "--option"),
  fc.constantFrom(...Object.values(toolWords).flatMap(({ words, one }) => [...Object.keys(words), ...one])),
  fc.constantFrom(
    "-L",
    "-Lv",
    "-vvv",
    "-vx",
    "-j4",
    "-j",
    "-j4x",
    "-iA",
    "-qaP",
    "-uA",
    "-qR",
    "-qrf",
    "-é",
    "--unknown",
    "--unknown=v",
    "-E",
    "-K",
  ),
  { weight: 1, arbitrary: fc.constantFrom(...printingOptions, "-h", "--", ...substitutionSettings.map((name) => `--option=${name}`)) },
);
const setting = fc
  .tuple(fc.constantFrom(...substitutionSettings, "cores", "build"), word)
  .map(([name, value]) => ["--option", name, value] as const);
const some = fc
  .array(fc.oneof({ weight: 4, arbitrary: option.map((each) => [each]) }, { weight: 4, arbitrary: word.map((each) => [each]) }, setting), {
    maxLength: 5,
  })
  .map((lists) => lists.flat());
const command = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...Object.keys(nixCommandClasses)).map((name) => name.split(" ")) },
  { weight: 1, arbitrary: word.map((each) => [each]) },
);
/** Options that stand between a command's words now and then. */
const nixLine = fc.tuple(fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, some), command, some).map(([before, words, behind]): Line => {
  return { tool: "nix", args: [...before, ...words, ...behind] };
});
const attachable = fc
  .tuple(
    fc.constantFrom("build", "develop", "run", "shell", "print-dev-env", "copy"),
    fc.array(fc.constantFrom(".#x", "-L", "--impure", "-j4", "--fallback", "--profile", "x", "--arg"), { maxLength: 5 }),
  )
  .map(([name, behind]): Line => ({ tool: "nix", args: [name, ...behind] }));
const toolLine = fc
  .tuple(fc.constantFrom(...nixNames.filter((name) => name !== "nix")), some)
  .map(([tool, args]): Line => ({ tool, args }));
const line = fc.oneof({ weight: 4, arbitrary: nixLine }, { weight: 2, arbitrary: attachable }, { weight: 4, arbitrary: toolLine });

const userConfig = "cores = 1\nextra-substituters = https://a.example";

/** What the tool got for each line: NIX_CONFIG and its words, or undefined where sh asked the slow path. */
async function throughShell(shell: readonly string[], lines: readonly Line[]): Promise<Answers["words"]> {
  const calls = lines.map(({ tool, args }) => [...shell, house.shimOf(tool), ...args].map(quoted).join(" "));
  const env = { ...house.env, NIX_CONFIG: userConfig };
  return (await callAll(calls, { file: join(scratch, "calls"), env, cwd: house.work })).words;
}

const isScript = (args: readonly string[]): boolean => args[0] === "script" || args[0] === "unended";

/** What the tool should get by the quick judgement. */
function expected({ tool, args }: Line): string[] | undefined {
  const quick = quickNixJudgement(tool, args, isScript(args));
  switch (quick.kind) {
    case "pass":
    case "medium":
      return [userConfig, ...args];
    case "attach":
      return quick.channel === "flags"
        ? [userConfig, ...settingFlags(attachedSettings), ...args]
        : [settingLines(userConfig, attachedSettings), ...args];
    case "unclear":
      return undefined;
  }
}

async function compare(shell: readonly string[], lines: readonly Line[], seed: number): Promise<void> {
  house.publishNix();
  const answers = await throughShell(shell, lines);
  expect(answers.length).toBe(lines.length);
  for (const [index, each] of lines.entries()) expect({ seed, each, got: answers[index] }).toEqual({ seed, each, got: expected(each) });
}

function sample(seed: number, runs: number): Line[] {
  const lines = fc.sample(line, { seed, numRuns: runs }).filter(({ args }) => !args.join("").includes("\u0001"));
  // The sample has to reach every outcome in numbers, or it proves little.
  const kinds = lines.map(({ tool, args }) => quickNixJudgement(tool, args, isScript(args)).kind);
  for (const kind of ["pass", "medium", "attach", "unclear"])
    expect(kinds.filter((each) => each === kind).length).toBeGreaterThan(runs / 20);
  return lines;
}

it("dash and TypeScript agree on 3,000 generated command lines", { timeout: 120_000 }, async () => {
  // Leases are 45 s long: publish anew for each batch.
  for (let batch = 0; batch < 6; batch += 1) await compare([], sample(2026 + batch, 500), 2026 + batch);
});

it.each(shells)("$name and TypeScript agree on the table and 300 more", { timeout: 60_000 }, async ({ command: shell }) => {
  const table = nixRows.flatMap(({ tool, args }) => (isNixName(tool) ? [{ tool, args }] : []));
  await compare(shell, [...table, ...sample(77, 300)], 77);
});

it("what the fast path is sure of, the slow path reads no differently", () => {
  fc.assert(
    fc.property(line, ({ tool, args }) => {
      const quick = quickNixJudgement(tool, args);
      const whole = readNixCommandLine(tool, args);
      if (quick.kind === "pass") expect(whole.kind).toBe("pass");
      if (quick.kind === "medium") expect(whole).toMatchObject({ kind: "guarded", class: "medium" });
      if (quick.kind === "attach") {
        expect(whole).toMatchObject({ kind: "guarded", channel: quick.channel, options: [] });
        expect(whole.class === "heavy" || whole.class === "entry").toBe(true);
      }
    }),
    { numRuns: 5000 },
  );
});
