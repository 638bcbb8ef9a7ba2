import { describe, expect, test } from "vitest";
import { conditionHolds } from "../../../contract/ci/condition.ts";
import { documentsOf } from "../../../contract/ci/documents.ts";
import { readGitlab } from "../../../contract/ci/gitlab.ts";
import { type ReadJob, type Situation, situations } from "../../../contract/ci/model.ts";
import { treeOf } from "./world.ts";

const file = ".gitlab-ci.yml";

function read(text: string, more: Readonly<Record<string, string>> = {}, situation: Situation = "main") {
  return readGitlab(documentsOf(treeOf({ [file]: text, ...more })), situation);
}

function job(text: string, name = "build", more: Readonly<Record<string, string>> = {}): ReadJob | undefined {
  return read(text, more).jobs.find((each) => each.name === name);
}

function lines(of: ReadJob | undefined): readonly string[] {
  return (of?.commands ?? []).map(({ words, place }) => `${place.file}:${place.line} ${words.map(({ text }) => text).join(" ")}`);
}

describe("for whom a job runs", () => {
  test.each([
    ["", "yes yes no"],
    ["only: [merge_requests]", "no no yes"],
    ["only: [main]", "yes no no"],
    ["except: [branches]", "no no no"],
    ["rules: [{ if: '$CI_PIPELINE_SOURCE == \"merge_request_event\"' }]", "no no yes"],
    ["rules: [{ if: '$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH' }]", "yes no no"],
    ["rules: [{ if: $CI_COMMIT_TAG, when: never }, { if: $CI_COMMIT_BRANCH }]", "yes yes no"],
    ["rules: [{ if: $CI_MERGE_REQUEST_IID, when: never }, { when: on_success }]", "yes yes no"],
    ["rules: [{ if: '$DEPLOY == \"yes\"' }]", "unknown unknown unknown"],
    ["rules: [{ changes: ['**/*.ts'] }]", "unknown unknown unknown"],
    ["rules: [{ if: '$CI_COMMIT_REF_NAME =~ /^(main|release)$/' }]", "yes no no"],
    ["rules: []", "no no no"],
  ])("%s", (rules, expected) => {
    const text = `build:\n  script: "true"\n${rules === "" ? "" : `  ${rules}\n`}`;
    expect(situations.map((situation) => read(text, {}, situation).jobs[0]?.runs ?? "no").join(" ")).toBe(expected);
  });

  test("a merge request's pipeline that the workflow starts has the jobs without rules", () => {
    const text = "workflow: { rules: [{ if: $CI_MERGE_REQUEST_IID }, { if: $CI_COMMIT_BRANCH }] }\nbuild: { script: x }\n";
    expect(situations.map((situation) => read(text, {}, situation).jobs.length)).toEqual([1, 1, 1]);
  });

  test.each([
    "rules: [{ if: '$CI_COMMIT_BRANCH == \"master\"' }]",
    "only: [master]",
    "rules: [{ if: '$CI_COMMIT_BRANCH == \"master\" && $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH' }]",
  ])("a trusted branch of another name: %s", (rules) => {
    const text = `build:\n  script: x\n  ${rules}\n`;
    expect(situations.map((situation) => read(text, {}, situation).jobs[0]?.runs ?? "no").join(" ")).toBe("yes no no");
  });

  test("a rule's variables count where it holds", () => {
    const text = `build:
  variables: { UP: "false" }
  script: x
  rules:
    - { if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH, variables: { UP: "true" } }
    - when: on_success
`;
    expect(situations.map((situation) => read(text, {}, situation).jobs[0]?.environment.get("UP")?.text)).toEqual([
      "true",
      "false",
      "false",
    ]);
  });
});

describe("what a job is put together from", () => {
  test("extends, in order, maps merged and lists replaced; each line keeps its place", () => {
    const text = `.a: &a
  variables: { X: a, Y: a }
  tags: [one, two]
  script: [from-a]
.b:
  variables: { Y: b }
  tags: [three]
build:
  extends: [.a, .b]
  before_script:
    - before
other:
  <<: *a
`;
    expect(job(text)?.environment.get("X")?.text).toBe("a");
    expect(job(text)?.environment.get("Y")).toMatchObject({ text: "b", place: { file, line: 6 } });
    expect(job(text)?.runner?.labels.map((label) => label.text)).toEqual(["three"]);
    expect(lines(job(text))).toEqual([`${file}:11 before`, `${file}:4 from-a`]);
    expect(lines(job(text, "other"))).toEqual([`${file}:4 from-a`]);
  });

  test("references, also in references; scripts in one shell, after_script in another", () => {
    const text = `.x: { script: [export A=1, !reference [.y, script]] }
.y: { script: ["echo $A"] }
build:
  script:
    - !reference [.x, script]
  after_script: ["echo $A"]
`;
    expect(lines(job(text))).toEqual([`${file}:1 `, `${file}:2 echo 1`, `${file}:6 echo $A`]);
  });

  test("includes lie beneath what the file itself says; patterns find several", () => {
    const more = { "ci/a.yml": "variables: { X: a, Z: a }\nbuild: { script: a }\n", "ci/deep/b.yml": "variables: { X: b }\n" };
    const text = "include: ['/ci/*.yml', { local: 'ci/**.yml' }]\nvariables: { Z: own }\n";
    expect(job(text, "build", more)?.environment.get("X")?.text).toBe("b");
    expect(job(text, "build", more)?.environment.get("Z")?.text).toBe("own");
    expect(read(text, more).files).toEqual([file, "ci/a.yml", "ci/deep/b.yml"]);
  });

  test("variables name each other; what the project gives is unknown", () => {
    const text = 'variables: { HOST: cache, URL: "grpc://${HOST}:1", OWN: "$GROUP_VARIABLE", LOOP: "$LOOP" }\nbuild: { script: x }\n';
    expect(job(text)?.environment.get("URL")).toMatchObject({ text: "grpc://cache:1", unknown: [] });
    expect(job(text)?.environment.get("OWN")?.unknown).toEqual(["$GROUP_VARIABLE"]);
    expect(job(text)?.environment.get("LOOP")?.unknown).toEqual(["$LOOP"]);
  });

  test("defaults, and what inherits none of them", () => {
    const text =
      "default: { tags: [d], before_script: [first] }\nvariables: { A: a, B: b }\nbuild: { script: x, inherit: { default: [tags], variables: [A] } }\nall: { script: x }\n";
    expect(job(text)?.runner?.labels.map((label) => label.text)).toEqual(["d"]);
    expect(lines(job(text))).toEqual([`${file}:3 x`]);
    expect([...(job(text)?.environment.keys() ?? [])]).toEqual(["A"]);
    expect(lines(job(text, "all"))).toEqual([`${file}:1 first`, `${file}:4 x`]);
  });

  test("child pipelines; what lies elsewhere is named", () => {
    const text =
      "a: { trigger: { include: [{ local: child.yml }] } }\nb: { trigger: other/project }\ninclude: [{ remote: 'https://x.example/y.yml' }, { template: T.yml }]\n";
    const result = read(text, { "child.yml": "c: { script: x }\n" });
    expect(result.jobs.map(({ name }) => name)).toContain("a / c");
    expect(result.unread.map(({ what, place }) => `${what} ${place.line}`)).toEqual([
      "the included remote https://x.example/y.yml 3",
      "the included template T.yml 3",
      "the pipeline that b starts 2",
    ]);
  });

  test.each([
    ["extends in a circle", "a: { extends: b, script: x }\nb: { extends: a }\n"],
    ["a file that includes itself", `include: ${file}\na: { script: x }\n`],
    ["a pipeline that triggers itself", `a: { trigger: { include: ${file} } }\n`],
    ["references in a circle", "a: { script: [!reference [b, script]] }\nb: { script: [!reference [a, script]] }\n"],
  ])("%s ends", (_name, text) => {
    expect(read(text).jobs.length).toBeGreaterThan(0);
  });
});

test.each([
  ['$A == "a"', true],
  ["$A == null", false],
  ["$NONE == null", true],
  ["$NONE", false],
  ["$A && $NONE", false],
  ["$A || $SECRET", true],
  ["$SECRET && $A", undefined],
  ["($A)", true],
  ["$A =~ /^a$/", true],
  ["$A !~ /b/", true],
  ["$A =~ /[ab]+/", undefined],
  ["$A =~ $PATTERN", undefined],
  ["$A ==", undefined],
  ["a b c", undefined],
])("%s is %s", (condition, expected) => {
  const known: Readonly<Record<string, string | null>> = { A: "a", NONE: null };
  const variable = (name: string) =>
    known[name] === undefined ? undefined : known[name] === null ? null : { text: known[name], unknown: [] };
  expect(conditionHolds(condition, variable)).toBe(expected);
});
