/** A repository is anybody's: whatever stands in its files, parity says something of it, printable, and soon. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, it } from "vitest";
import { rcLines } from "../../cli/bazelrc.ts";
import { paint } from "../../cli/output/paint.ts";
import { repositoryTree } from "../../cli/parity/tree.ts";
import { viewParity } from "../../cli/parity/view.ts";
import { conditionHolds } from "../../contract/ci/condition.ts";
import { interpolate } from "../../contract/ci/expression.ts";
import type { Tree } from "../../contract/ci/model.ts";
import { parityRules, verdicts } from "../../contract/ci/report.ts";
import { shellCommands } from "../../contract/ci/shell.ts";
import { examineTree, repositories, treeOf } from "../contract/ci/world.ts";
import { fuzz, timeoutFor } from "./fuzz.ts";

const seconds = 3;
const unprintable = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u;

const words = [
  ...[
    "on: push",
    "on: { push: { branches: ['**'] }, pull_request: {} }",
    "jobs:",
    "  build:",
    "    runs-on: ${{ matrix.os }}",
    "    env:",
    "    steps:",
  ],
  ...[
    "      - run: |",
    "          bazel build //...",
    "      - uses: ./act",
    "    uses: ./.github/workflows/a.yml",
    "    strategy: { matrix: { os: [a, b] } }",
  ],
  ...[
    "include: '*.yml'",
    "include: { local: .gitlab-ci.yml }",
    "build:",
    "  extends: build",
    "  extends: [.a, .b]",
    "  script: [bazel test //...]",
    ".a: &a",
    "  <<: *a",
  ],
  ...[
    "  - !reference [build, script]",
    "  rules: [{ if: '$CI_COMMIT_BRANCH == \"main\"' }]",
    "variables: { A: $B, B: $A, BAZEL_REMOTE_CACHE: grpc://x }",
    "  tags: [x]",
  ],
  ...[
    "  trigger: { include: a.yml }",
    "default: { before_script: [x] }",
    "    if: github.ref == 'refs/heads/main' && (",
    "GF_BAZEL_REMOTE_UPLOAD: true",
    "echo A=b >> $GITHUB_ENV",
  ],
  ...[
    "build --remote_cache=$X",
    "build:ci --config=ci",
    "import %workspace%/.bazelrc",
    "try-import ../../../etc/passwd",
    "common --config=ci --\\",
    "'",
    '"',
    "`",
    "$(",
    "${",
    "${{",
    "}}",
    "{{",
    "<<EOF",
  ],
  ...[
    "nix develop --command bash -c 'bazel build'",
    "just build",
    "build: build",
    "shellHook = ''",
    "nixConfig = {",
    "```sh",
    "```",
    "\t",
    "\\",
    "\u001b[31m",
    "\u202e",
    "&a",
    "*a",
    "- ",
    "? ",
    ": ",
    "[",
    "]",
    "{",
    "}",
  ],
];
const line = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...words) },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 30 }) },
);
const text = fc
  .array(fc.tuple(fc.constantFrom("", "  ", "    "), line), { maxLength: 30 })
  .map((lines) => lines.map(([indent, each]) => indent + each).join("\n"));
const names = [
  ".github/workflows/a.yml",
  ".github/workflows/b.yaml",
  "act/action.yml",
  ".gitlab-ci.yml",
  "a.yml",
  ".bazelrc",
  "justfile",
  ".envrc",
];
const more = ["flake.nix", "README.md", "docs/x.md", "tinyland.repo.json", ".bazelversion", "x.sh"];
const random = fc.array(fc.tuple(fc.constantFrom(...names, ...more), text), { maxLength: 8 }).map((files) => Object.fromEntries(files));

/** The repositories of the tests, each read whole. */
const written = readdirSync(repositories).map((name) => {
  const tree = repositoryTree(join(repositories, name));
  return Object.fromEntries(tree.files.map((file) => [file, tree.read(file) ?? ""]));
});
/** One of them with some pieces put in, and some taken out. */
const marred = fc
  .tuple(fc.constantFrom(...written), fc.array(fc.tuple(fc.nat(20), fc.nat(800), line, fc.nat(12)), { maxLength: 6 }))
  .map(([files, changes]) => {
    const changed: Record<string, string> = { ...files };
    for (const [which, at, piece, cut] of changes) {
      const file = Object.keys(changed)[which % Object.keys(changed).length] ?? "";
      const whole = changed[file] ?? "";
      changed[file] = whole.slice(0, at) + piece + whole.slice(at + cut);
    }
    return changed;
  });
const repository = fc.oneof({ weight: 1, arbitrary: random }, { weight: 3, arbitrary: marred });

function examined(tree: Tree) {
  const rc = [...rcLines("/w", ["/w/.bazelrc"], (file) => (file.startsWith("/w/") ? tree.read(file.slice(3)) : undefined))];
  return examineTree(tree, rc, {});
}

it("any repository is examined, soon, in printable words, and shown", timeoutFor(3 * seconds), async () => {
  const seen = new Set<string>();
  await fuzz(
    fc.property(repository, (files) => {
      const report = examined(treeOf(files));
      for (const each of report.lines) {
        seen.add(each.rule);
        expect(parityRules).toContain(each.rule);
        expect(verdicts).toContain(each.verdict);
        for (const said of [each.what, each.here, each.ci, each.why, each.next]) expect(said ?? "").not.toMatch(unprintable);
        for (const place of each.places) {
          expect(place.line).toBeGreaterThan(0);
          const file = files[place.file];
          // A line that there is, in a file that there is.
          if (file !== undefined) expect(place.line).toBeLessThanOrEqual(file.split("\n").length + 1);
        }
      }
      expect(viewParity(report, paint({}, false), 80).length).toBeGreaterThan(0);
    }),
    { seconds: 3 * seconds, atLeast: 100 },
  );
  expect(seen.size).toBeGreaterThan(20);
});

it("scripts, expressions and conditions never throw", timeoutFor(seconds), async () => {
  const pieces = fc.array(
    fc.oneof(
      fc.constantFrom(
        "$A",
        "&&",
        "||",
        "==",
        "(",
        ")",
        "'a'",
        '"a"',
        "/x/",
        "=~",
        "!",
        "contains(",
        ",",
        "\n",
        ";",
        ">",
        ">>",
        "&",
        "#",
        ...words,
      ),
      fc.string({ unit: "binary", maxLength: 5 }),
    ),
    { maxLength: 40 },
  );
  await fuzz(
    fc.property(
      pieces.map((all) => all.join("")),
      (all) => {
        for (const command of shellCommands(all)) expect(command.line).toBeLessThanOrEqual(all.split("\n").length);
        interpolate(`\${{${all}}}`, () => undefined);
        conditionHolds(all, () => undefined);
      },
    ),
    { seconds, atLeast: 500 },
  );
});

const long = 200_000;
it.each([
  ["open brackets", ".gitlab-ci.yml", "[".repeat(long)],
  ["open maps", ".github/workflows/a.yml", "{a: ".repeat(long / 4)],
  ["many anchors", ".gitlab-ci.yml", Array.from({ length: 8000 }, (_, n) => `a${n}: &a${n} [*a${Math.max(0, n - 1)}]`).join("\n")],
  ["many keys", ".gitlab-ci.yml", Array.from({ length: 15_000 }, (_, n) => `k${n}: { script: x }`).join("\n")],
  ["one key, again and again", ".gitlab-ci.yml", "a: 1\n".repeat(long / 5)],
  [
    "extends in rings",
    ".gitlab-ci.yml",
    Array.from({ length: 2000 }, (_, n) => `j${n}: { extends: [j${(n + 1) % 2000}, j${(n * 7) % 2000}], script: [x] }`).join("\n"),
  ],
  ["a script of dollars", "justfile", `build:\n  ${"$(".repeat(long / 2)}`],
  ["groups in groups", "justfile", `build:\n${"  {\n".repeat(20_000)}${"  } > a\n".repeat(20_000)}`],
  ["a script of quotes", ".envrc", "'\"".repeat(long / 2)],
  [
    "variables that grow",
    ".gitlab-ci.yml",
    `variables:\n${Array.from({ length: 40 }, (_, n) => `  V${n}: "${`$V${n + 1}`.repeat(20)}"`).join("\n")}\nb: { script: "echo $V0" }`,
  ],
  ["backquotes and fences", "README.md", "```\n`".repeat(long / 5)],
  ["a hook that never ends", "flake.nix", `shellHook = ''${"'x".repeat(long / 2)}`],
  ["comments that never end", "flake.nix", "/*".repeat(long / 2)],
  ["an rc that names itself", ".bazelrc", "import %workspace%/.bazelrc\nbuild:a --config=a --config=b\n".repeat(2000)],
  ["many configs", ".bazelrc", Array.from({ length: 4000 }, (_, n) => `build:c${n} --config=c${n + 1} --config=c${n + 2}`).join("\n")],
  ["spaces", "justfile", `${" ".repeat(long)}x`],
  ["a header of words", "justfile", `a${" b".repeat(long / 2)}`],
])("%s do not take long", (_name, file, content) => {
  examined(
    treeOf({
      [file]: content,
      ".github/workflows/z.yml":
        "on: push\njobs: { a: { runs-on: x, steps: [{ run: bazel build --config=c0 --config=a }, { run: just build }] } }\n",
    }),
  );
});
