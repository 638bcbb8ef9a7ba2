import { describe, expect, test } from "vitest";
import { documentsOf } from "../../../contract/ci/documents.ts";
import { evaluate, holds, interpolate, type Lookup } from "../../../contract/ci/expression.ts";
import { readGithub } from "../../../contract/ci/github.ts";
import { type ReadJob, type Situation, situations } from "../../../contract/ci/model.ts";
import { treeOf } from "./world.ts";

const file = ".github/workflows/ci.yml";

function jobs(text: string, situation: Situation = "main", more: Readonly<Record<string, string>> = {}): readonly ReadJob[] {
  return readGithub(documentsOf(treeOf({ [file]: text, ...more })), situation).jobs;
}

function seen(job: ReadJob | undefined, name: string): string | undefined {
  const setting = job?.commands.at(-1)?.environment.get(name) ?? job?.environment.get(name);
  return setting === undefined ? undefined : setting.unknown.length > 0 ? `? ${setting.unknown.join(" ")}` : setting.text;
}

describe("for whom a workflow runs", () => {
  test.each([
    ["push", "yes yes no"],
    ["[push, pull_request]", "yes yes yes"],
    ["{ push: { branches: [main] } }", "yes no no"],
    ["{ push: { branches: ['**'] } }", "yes yes no"],
    ["{ push: { branches: ['feature/*'] }, pull_request: {} }", "no no yes"],
    ["{ push: { branches-ignore: [main] } }", "no yes no"],
    ["{ push: { branches: ['**', '!some-*'] } }", "yes no no"],
    ["{ push: { tags: ['v*'] } }", "unknown no no"],
    ["pull_request_target", "no no yes"],
    ["{ schedule: [{ cron: '0 0 * * *' }], workflow_dispatch: null }", "unknown no no"],
    ["workflow_call", "unknown unknown unknown"],
    ["issues", "no no no"],
  ])("on: %s", (on, expected) => {
    const text = `on: ${on}\njobs:\n  build: { runs-on: x, steps: [{ run: "true" }] }\n`;
    expect(situations.map((situation) => jobs(text, situation)[0]?.runs ?? "no").join(" ")).toBe(expected);
  });

  test("another trusted branch than main is the one that a push is limited to", () => {
    const text = "on: { push: { branches: [trunk] } }\njobs:\n  a:\n    if: github.ref == 'refs/heads/trunk'\n    steps: []\n";
    expect(jobs(text)).toHaveLength(1);
    expect(jobs(text, "branch")).toHaveLength(0);
  });
});

describe("environments", () => {
  const text = `on: push
env: { A: one, B: "\${{ vars.B }}" }
jobs:
  build:
    env:
      A: \${{ env.A }}-two
    steps:
      - run: echo "LATER=$A-three" >> "$GITHUB_ENV"
      - env: { STEP: only }
        run: |
          export HERE=yes
          bazel build //...
      - run: bazel test //...
`;

  test("of workflow, job, step, shell and $GITHUB_ENV, each with its line", () => {
    const [job] = jobs(text);
    const [, , build, last] = job?.commands ?? [];
    expect(seen(job, "A")).toBe("one-two");
    expect(seen(job, "B")).toBe("? ${{ vars.B }}");
    expect(build?.environment.get("HERE")).toMatchObject({ text: "yes", place: { file, line: 11 } });
    expect(build?.environment.get("STEP")?.text).toBe("only");
    expect(build?.environment.get("LATER")).toMatchObject({ text: "one-two-three", place: { file, line: 8 } });
    expect(build?.place).toEqual({ file, line: 12 });
    expect(last?.environment.has("HERE")).toBe(false);
    expect(last?.environment.has("STEP")).toBe(false);
    expect(last?.environment.get("LATER")?.text).toBe("one-two-three");
  });

  test("what a script sets under a condition is not known, also where a group writes it", () => {
    const script = "{\n  printf 'A=%s\\n' yes\n  if [ -n \"$X\" ]; then printf 'B=x\\n'; fi\n} >> \"$GITHUB_ENV\"";
    const steps = JSON.stringify([{ run: script }, { run: "bash scripts/bazel-cache-backed.sh test //..." }]);
    const [job] = jobs(`on: push\njobs: { a: { steps: ${steps} } }\n`);
    expect(seen(job, "A")).toBe("yes");
    expect(seen(job, "B")).toBe("? whether its script sets it");
  });

  test("a matrix is each of its jobs; one that is computed is unknown", () => {
    const of = (matrix: string): readonly (string | undefined)[] =>
      jobs(`on: push\njobs:\n  a:\n    strategy: { matrix: ${matrix} }\n    env: { V: "\${{ matrix.v }}" }\n    steps: []\n`).map((job) =>
        seen(job, "V"),
      );
    expect(of("{ v: [1.10, true, x] }")).toEqual(["1.10", "true", "x"]);
    expect(of("{ include: [{ v: a }, { v: b }] }")).toEqual(["a", "b"]);
    expect(of("'${{ fromJSON(needs.x.outputs.m) }}'")).toEqual(["? ${{ matrix.v }}"]);
  });
});

describe("actions and workflows of the same repository", () => {
  const workflow = "on: push\njobs:\n  a:\n    steps:\n      - uses: ./act\n        with: { where: there }\n      - run: echo $WHERE\n";

  test("a composite action has its inputs, and gives its variables on", () => {
    const action = `inputs: { where: { default: here }, other: { default: besides } }
runs:
  using: composite
  steps:
    - run: echo "WHERE=\${{ inputs.where }} \${{ inputs.other }}" >> $GITHUB_ENV
`;
    expect(seen(jobs(workflow, "main", { "act/action.yml": action })[0], "WHERE")).toBe("there besides");
  });

  test("one that is not there is named; one that uses itself ends", () => {
    expect(readGithub(documentsOf(treeOf({ [file]: workflow })), "main").unread).toEqual([
      { what: "the action ./act", why: "there is no action.yml", place: { file, line: 5 } },
    ]);
    const itself = "runs: { steps: [{ uses: ./act }, { run: once }] }";
    expect(jobs(workflow, "main", { "act/action.yaml": itself })[0]?.commands.length).toBeLessThan(20);
  });

  test("a reusable workflow is told apart from one of another repository; one that calls itself ends", () => {
    const callee =
      "on: { workflow_call: { inputs: { a: { default: x } } } }\njobs:\n  b: { env: { A: '${{ inputs.a }}' }, steps: [] }\n  c: { uses: ./.github/workflows/callee.yml }\n";
    const caller =
      "on: push\njobs:\n  a: { uses: ./.github/workflows/callee.yml, with: { a: mine } }\n  z: { uses: o/r/.github/workflows/x.yml@v1 }\n";
    const read = readGithub(documentsOf(treeOf({ [file]: caller, ".github/workflows/callee.yml": callee })), "main");
    expect(read.jobs.find(({ name }) => name === "a / b")).toMatchObject({ forge: "github", runs: "yes" });
    expect(
      seen(
        read.jobs.find(({ name }) => name === "a / b"),
        "A",
      ),
    ).toBe("mine");
    expect(read.unread).toEqual([
      { what: "the workflow o/r/.github/workflows/x.yml@v1", why: "it is another repository's", place: { file, line: 4 } },
    ]);
    expect(read.jobs.length).toBeLessThan(20);
  });
});

describe("expressions", () => {
  const known: Readonly<Record<string, string>> = {
    "env.A": "a",
    "env.E": "",
    "github.ref": "refs/heads/main",
    "github.event_name": "push",
  };
  const lookup: Lookup = (path) => (known[path.join(".")] === undefined ? undefined : { text: known[path.join(".")] ?? "", unknown: [] });

  test.each([
    ["env.A == 'A'", true],
    ["env.A != 'b' && github.ref == 'refs/heads/main'", true],
    ["!(env.A == 'a')", false],
    ["env.E", false],
    ["vars.X", undefined],
    ["vars.X && env.E", false],
    ["vars.X || env.A", true],
    ["vars.X && env.A", undefined],
    ["startsWith(github.ref, 'refs/heads/')", true],
    ["contains(env.A, 'z') || endsWith(github.ref, 'main')", true],
    ["always() && !cancelled()", true],
    ["fromJSON(vars.X)[0]", undefined],
    ["'it''s' == 'it''s'", true],
    ["${{ github.event_name == 'push' }}", true],
    ["env.A ==", undefined],
    ["((((", undefined],
  ])("%s is %s", (condition, expected) => {
    expect(holds(condition, lookup)).toBe(expected);
  });

  test("a value is filled in, or named", () => {
    expect(interpolate("x-${{ github.ref == 'refs/heads/main' && 'true' || 'false' }}", lookup)).toEqual({ text: "x-true", unknown: [] });
    expect(interpolate("${{ vars.X }}-${{ secrets.Y }}", lookup)).toEqual({
      text: "${{ vars.X }}-${{ secrets.Y }}",
      unknown: ["${{ vars.X }}", "${{ secrets.Y }}"],
    });
    expect(evaluate("needs.a.outputs.b", lookup)).toEqual({ known: false, names: ["needs.a.outputs.b"], truth: undefined });
  });

  test("what has no end stays as it is, in time", () => {
    expect(interpolate("${{ 'a' }}-${{ 'b' }}-${{ 'c' ", lookup)).toEqual({ text: "a-b-${{ 'c' ", unknown: [] });
    const open = "${{".repeat(100_000);
    const started = performance.now();
    expect(interpolate(open, lookup).text === open).toBe(true);
    expect(performance.now() - started).toBeLessThan(2000);
  });
});
