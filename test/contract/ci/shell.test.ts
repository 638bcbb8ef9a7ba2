import { describe, expect, test } from "vitest";
import { readMarkdown } from "../../../contract/ci/docs.ts";
import { readFlake } from "../../../contract/ci/flake.ts";
import { matchesGlob } from "../../../contract/ci/glob.ts";
import { readJustfile } from "../../../contract/ci/just.ts";
import { expand, shellCommands } from "../../../contract/ci/shell.ts";
import { readYaml } from "../../../contract/ci/yaml.ts";

describe("shell", () => {
  const words = (text: string): readonly string[] => shellCommands(text).map((command) => `${command.line} ${command.words.join("|")}`);

  test.each([
    ["a b; c && d | e", ["0 a|b", "0 c", "0 d", "0 e"]],
    ["a \\\n  b\nc", ["0 a|b", "2 c"]],
    ["a 'b c' \"d $E f\" g\\ h", ["0 a|b c|d $E f|g h"]],
    ["# a\nb # c\n\n d", ["1 b", "3 d"]],
    ["if a; then b; else c; fi", ["0 a", "0 b", "0 c", "0 fi"]],
    ["cat <<'EOF' > x\nbazel build\nEOF\nb", ["0 cat", "3 b"]],
    ["a $(b | c; d) ${E:-f g} e", ["0 a|$(b | c; d)|${E:-f g}|e"]],
    ["a ${{ b && 'c' || 'd' }} {{ e f }}", ["0 a|${{ b && 'c' || 'd' }}|{{ e f }}"]],
    ["a 2>&1 >/dev/null &", ["0 a"]],
    ["sudo env A=1 b", ["0 b"]],
    ["'unclosed", ["0 unclosed"]],
    ['"unclosed $(', ["0 unclosed $("]],
  ])("%j", (text, expected) => {
    expect(words(text)).toEqual(expected);
  });

  test("assignments, and files that are written", () => {
    expect(shellCommands('A=1 B="2 3" c >> "$F" 2> err')).toEqual([
      {
        line: 0,
        words: ["c"],
        assignments: [
          ["A", "1"],
          ["B", "2 3"],
        ],
        writes: ["$F", "err"],
        conditional: false,
      },
    ]);
    expect(shellCommands("export -x A=1 B")[0]).toMatchObject({ assignments: [["A", "1"]], words: ["B"] });
  });

  test("what stands under a condition, and what a group writes to", () => {
    const text = "a=1\nif x; then b=1; else c=1; fi\nd=1\ny && e=1 || f=1; g=1\nfor i in 1; do h=1; done | i=1\n";
    const conditional = shellCommands(text).filter((command) => command.conditional && command.assignments.length > 0);
    expect(conditional.map(({ assignments }) => assignments[0]?.[0])).toEqual(["b", "c", "e", "f", "h"]);
    const grouped = shellCommands("{\n echo A\n { echo B; } > f\n} >> g\necho C");
    expect(grouped.filter(({ words }) => words[0] === "echo").map(({ writes }) => writes)).toEqual([["g"], ["f", "g"], []]);
  });

  test("what nobody knows is named, and nothing grows without end", () => {
    const known = (name: string) => (name === "A" ? { text: "a", unknown: [] } : undefined);
    expect(expand("$A-${A}-$$", known)).toEqual({ text: "a-a-$", unknown: [] });
    expect(expand("$A-${B:-x}-$(date)", known)).toEqual({ text: "$A-${B:-x}-$(date)", unknown: ["$B", "what a command prints"] });
    expect(expand("$A".repeat(100_000), () => ({ text: "x".repeat(10_000), unknown: [] })).text.length).toBeLessThan(50_000);
  });
});

test.each([
  ["main", "main", true],
  ["*", "a/b", false],
  ["**", "a/b", true],
  ["ci/*.yml", "ci/a.yml", true],
  ["ci/*.yml", "ci/a/b.yml", false],
  ["ci/**.yml", "ci/a/b.yml", true],
  ["v*.*", "v1x", false],
])("%s and %s: %s", (pattern, name, expected) => {
  expect(matchesGlob(pattern, name)).toBe(expected);
});

test("a Justfile's recipes, what they need, and its lines", () => {
  const text =
    "set dotenv-load\nexport A := 'x'\n\n# words\nbuild target='//...': check (other \"x\")\n    @bazel build {{target}}\n    -echo \\\n      on\n\ncheck:\n\techo y\n";
  const { recipes, assignments } = readJustfile(text, "justfile");
  expect(recipes.map(({ name, place, needs, textPlace }) => [name, place.line, needs, textPlace.line])).toEqual([
    ["build", 5, ["check", "other", "x"], 6],
    ["check", 10, [], 11],
  ]);
  expect(recipes[0]?.text).toContain("    bazel build {{target}}\n    echo");
  expect(assignments).toEqual([{ name: "A", text: "x", exported: true, place: { file: "justfile", line: 2 } }]);
});

test("Markdown: what is typed, by its lines; prose and outputs are none of it", () => {
  const text =
    "a bazel build\n```console\n$ bazel build \\\n    //x\nbazel test\n```\n\n~~~python\nbazel run\n~~~\n- ```sh\n  bazel test //y\n  ```\n`code` https://x.example/y\n";
  const { blocks, lines } = readMarkdown(text, "a.md");
  expect(blocks.map((block) => [block.place.line, shellCommands(block.text).map((command) => command.words.join(" "))])).toEqual([
    [3, ["bazel build //x"]],
    [12, ["bazel test //y"]],
  ]);
  expect(lines.at(-1)).toEqual({ text: "code https://x.example/y", place: { file: "a.md", line: 14 } });
});

test("flake.nix: caches and keys by their lines, a bazel of its own, shell hooks; comments say nothing", () => {
  const key = "main:eaUydxuDu7xBoy5cCo3MdknYAkVyTIASQ7DGuwxa+XA=";
  const text = `{
  /* bazel = writeShellScriptBin "bazel" */
  nixConfig = {
    extra-substituters = [ "https://a.example/main" ];
    extra-trusted-public-keys = [ "${key}" ]; # ${key}x
  };
  x = pkgs.writeShellApplication {
    name = "bazel";
  };
  shellHook = ''
    echo ''\${A}
    bazel build
  '';
}`;
  const { flake, hooks } = readFlake(text, "flake.nix");
  expect(flake.substituters).toMatchObject([{ text: "https://a.example/main", place: { line: 4 } }]);
  expect(flake.keys).toMatchObject([{ text: key, place: { line: 5 } }]);
  expect(flake.bazelShims).toEqual([{ file: "flake.nix", line: 7 }]);
  expect(hooks[0]?.place.line).toBe(10);
  expect(shellCommands(hooks[0]?.text ?? "").map(({ line, words }) => `${line + (hooks[0]?.place.line ?? 0)} ${words.join(" ")}`)).toEqual([
    "11 echo ${A}",
    "12 bazel build",
  ]);
});

describe("YAML", () => {
  test("broken, too deep, circular and exploding documents are refused, each with its line", () => {
    const bomb = `a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n${Array.from({ length: 8 }, (_, n) => `a${n + 1}: &a${n + 1} [${Array.from({ length: 10 }, () => `*a${n}`).join(",")}]`).join("\n")}\n`;
    expect(readYaml(bomb, "x")).toMatchObject({ ok: false, message: "written out, with its aliases, it is too large" });
    expect(readYaml(`${"[".repeat(5000)}`, "x")).toMatchObject({ ok: false, message: "it nests too deeply" });
    expect(readYaml(`${"- ".repeat(5000)}x`, "x")).toMatchObject({ ok: false });
    expect(readYaml(Array.from({ length: 200 }, (_, n) => `${" ".repeat(n)}a:`).join("\n"), "x")).toMatchObject({
      ok: false,
      message: "it nests too deeply",
    });
    expect(readYaml("a: &x [*x]\n", "x")).toMatchObject({ ok: false });
    expect(readYaml("a: b\nc: }\n", "x")).toMatchObject({ ok: false, line: 2 });
    expect(readYaml("a: *none\n", "x")).toMatchObject({ ok: false, message: "the alias *none names nothing before it" });
  });

  test("merges are shared, and stand at the lines where they were written", () => {
    const result = readYaml("a: &a { x: 1, y: 2 }\nb:\n  <<: *a\n  y: 3\n", "f.yml");
    const b = result.ok && result.root.kind === "map" ? result.root.entries.get("b") : undefined;
    expect(
      b?.kind === "map"
        ? [...b.entries].map(([name, value]) => `${name} ${value.kind === "text" ? value.text : ""} ${value.place.line}`)
        : [],
    ).toEqual(["x 1 1", "y 3 4"]);
  });
});
