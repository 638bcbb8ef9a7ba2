import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseEnvFile } from "../../contract/env-file.ts";

const cache = (text: string) => {
  const result = parseEnvFile(text);
  return result.ok ? result.values.BAZEL_REMOTE_CACHE : result.faults;
};

describe("what bash's printf %q makes", () => {
  test.each([
    ["grpc://cache.example:9092", "grpc://cache.example:9092"],
    ["''", ""],
    ['""', ""],
    ["", ""],
    ["a\\ b\\$c", "a b$c"],
    ["'it'\\''s'", "it's"],
    ["$'tab\\there\\nnew'", "tab\there\nnew"],
    ["$'\\303\\251'", "é"],
    ["$'\\u00e9\\x41\\e\\cX'", undefined],
    ["$'\\u00e9\\x41\\e'", "éA\u001b"],
    ['"a b \\"c\\" \\d"', 'a b "c" \\d'],
    ["grpc://[::1]:9092", "grpc://[::1]:9092"],
    ["'a\nb'", "a\nb"],
  ])("%s", (written, value) => {
    const found = cache(`export BAZEL_REMOTE_CACHE=${written}\n`);
    if (value === undefined) expect(found).toEqual([{ line: 1, message: "`\\c` is not an escape of $'…'" }]);
    else expect(found).toBe(value);
  });

  test("whatever bash quotes comes back as it was", () => {
    // Values as bytes of UTF-8 text without NUL, which no variable can hold. One bash quotes them all.
    const values = fc
      .sample(fc.string({ unit: "binary", maxLength: 40 }), { numRuns: 300, seed: 7 })
      .map((text) => text.replaceAll("\0", "").toWellFormed());
    for (const locale of ["C", "C.UTF-8"]) {
      const script = 'for value; do printf "export BAZEL_REMOTE_CACHE=%q\\0" "$value"; done';
      const bash = spawnSync("bash", ["-c", script, "bash", ...values], {
        encoding: "utf8",
        env: { PATH: process.env["PATH"], LC_ALL: locale },
      });
      expect(bash.status).toBe(0);
      const written = bash.stdout.split("\0").slice(0, -1);
      expect(written).toHaveLength(values.length);
      expect(written.map(cache)).toEqual(values);
    }
  });
});

test("comments, blank lines, indentation, and names that are not for it", () => {
  const text =
    "# by flywheel-enroll\n\n  export GF_BAZEL_SUBSTRATE_MODE=shared-cache-backed # the mode\nexport PATH=/evil\nexport BAZEL_REMOTE_CACHE=grpc://c:1";
  expect(parseEnvFile(text)).toEqual({
    ok: true,
    values: { GF_BAZEL_SUBSTRATE_MODE: "shared-cache-backed", BAZEL_REMOTE_CACHE: "grpc://c:1" },
    ignored: [{ line: 4, name: "PATH" }],
  });
});

describe("nothing that a shell would run or look up", () => {
  test.each([
    "export A=$(touch /tmp/x)",
    "export A=`id`",
    "export A=$HOME",
    "export A=${HOME}",
    'export A="$HOME"',
    'export A="`id`"',
    'export A=$"x"',
    "export A=~/x",
    "export A=a:~/x",
    "export A=1; id",
    "export A=1 && id",
    "export A=1 B=2",
    "export A=a|b",
    "export A={a,b}",
    "export A",
    "export -n A=1",
    "A=1",
    "source other",
    ". other",
    "export 1A=x",
    "export A=x\r",
    "export A=x\\",
    "export A='x",
    'export A="x',
    "export A=$'x",
    "export A=$'\\377'",
    "export A=$'\\0'",
    "export A=$'\\ud800'",
    "export A+=x",
    "export A[0]=x",
  ])("%j is a fault of line 2", (line) => {
    const result = parseEnvFile(`# one\n${line}\n`);
    expect(result.ok ? [] : result.faults.map((fault) => fault.line)).toEqual([2]);
  });

  test("every fault has its line, and a doubled key is one", () => {
    const result = parseEnvFile("export A=1\nid\nexport A=2\nexport B='two\nlines'\n$(x)\n");
    expect(result).toEqual({
      ok: false,
      faults: [
        { line: 2, message: "expected `export KEY=VALUE`" },
        { line: 3, message: "A was already set on line 1" },
        { line: 6, message: "expected `export KEY=VALUE`" },
      ],
    });
  });

  test("never throws, and never takes long", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => typeof parseEnvFile(`export A=${text}`).ok === "boolean"),
    );
    expect(parseEnvFile("x".repeat(70_000)).ok).toBe(false);
  });
});
