/** The completions, by each shell's own machinery: keys typed at a real prompt, the line read back. */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { registry } from "../../../cli/registry.ts";
import { serializePublished } from "../../../contract/published.ts";
import { programOnPath, required } from "../../fixtures/peers.ts";
import { startTerminal } from "../../fixtures/pty-line/pty.ts";
import { alive, script } from "../../shim/house.ts";
import { type Home, makeHome } from "../flywheel.ts";

const root = join(import.meta.dirname, "../../..");

let home: Home;
let env: Record<string, string>;
beforeAll(async () => {
  home = makeHome();
  home.write("config/profiles/work.toml", "");
  home.write("config/profiles/No Profile.toml", "");
  home.write("config/profiles/default.toml", "");
  // Leases are 45 s long, and names are offered for as long.
  home.write("run/attachment/default/bazel", serializePublished(alive()), 0o600);
  mkdirSync(join(home.dir, "bin"));
  script(join(home.dir, "bin/flywheel"), `exec "${process.execPath}" "${root}/cli/main.ts" "$@"`);
  script(join(home.dir, "bin/bazel"), "exit 0");
  env = { ...home.env, PATH: `${join(home.dir, "bin")}:/usr/bin:/bin`, TERM: "xterm", PS1: "$ ", INPUTRC: "/dev/null", HISTFILE: "" };
  for (const shell of ["bash", "zsh", "fish"])
    writeFileSync(join(home.dir, `flywheel.${shell}`), (await home.flywheel(["completion", shell])).stdout);
});
afterAll(() => home.remove());

const endpoints = ["grpc://100.64.0.5:9092", "grpc://cache.example.ts.net:9092"];
const commands = [...Object.keys(registry), "help"].sort();

/** What every shell has to offer: the line as typed, and each whole word that may stand at its end. */
const table: readonly (readonly [line: string, offers: readonly string[]])[] = [
  ["flywheel ", commands],
  ["flywheel sta", ["status"]],
  ["flywheel status --w", ["--watch"]],
  ["flywheel --profile ", ["default", "gloriousflywheel", "work"]],
  ["flywheel --profile work stat", ["status"]],
  ["flywheel env --shell ", ["bash", "direnv", "fish", "json", "zsh"]],
  ["flywheel env --shell=z", ["--shell=zsh"]],
  ["flywheel service ", ["install", "status", "uninstall"]],
  ["flywheel service --yes un", ["uninstall"]],
  ["flywheel attach ", endpoints],
  ["flywheel attach --kind ", ["bazel", "nix"]],
  ["flywheel attach --kind nix grpc://c", ["grpc://cache.example.ts.net:9092"]],
  ["flywheel attach grpc://100.64.0.5:9", ["grpc://100.64.0.5:9092"]],
  ["flywheel proof --kind ", ["bazel", "both", "nix"]],
  ["flywheel login --store ", ["file", "keyring"]],
  ["flywheel logout grpc://100.64.0.5:9", ["grpc://100.64.0.5:9092"]],
  ["flywheel exec -- nix-b", ["nix-build"]],
  ["flywheel exec -- bazel bu", ["build"]],
  ['flywheel compat --reason "a b" -- bazel //my:', ["//my:one", "//my:two"]],
  ["flywheel explain bazel test //o", ["//other:three"]],
  ["flywheel help expl", ["explain"]],
  ["flywheel logs --lines ", []],
];

describe.each([
  ["without bash-completion", undefined],
  ["with bash-completion", "/usr/share/bash-completion/bash_completion"],
] as const)("bash, %s", (_, library) => {
  it("offers what there is", { timeout: 120_000 }, async ({ skip }) => {
    const bash = required(programOnPath("bash"), skip);
    if (library !== undefined)
      required(
        existsSync(library) ? { available: true, path: library } : { available: false, reason: "bash-completion is not installed" },
        skip,
      );
    const rc = home.write(
      "rc.bash",
      `${library === undefined ? "" : `. ${library}\n`}. ./flywheel.bash
_bazel() { local cur=\${COMP_LINE:0:COMP_POINT}; cur=\${cur##*[[:space:]]}; for word in build test //my:one //my:two //other:three; do
  if [[ $word == "$cur"* ]]; then COMPREPLY+=("\${word#"\${cur%"\${cur##*:}"}"}"); fi; done; }
complete -F _bazel bazel
bind 'set enable-bracketed-paste off' 'set bell-style none'
bind -x '"\\C-t": printf "<%s>\\n" "$READLINE_LINE"'
PS1='ready> '
`,
    );
    await using terminal = startTerminal(bash, ["--noprofile", "--rcfile", rc, "-i"], { env, cwd: home.dir, cols: 400 });
    await terminal.until(/ready> /);
    for (const [line, offers] of table) {
      // M-*: insert all that could stand here; then the line as it is, and an empty one.
      const before = terminal.output().length;
      terminal.write(`${line}\u001b*\u0014\u0015`);
      const shown = await terminal.until(new RegExp(`^[^]{${before},}\n?<[^>]*>\r\n`));
      // What bash replaces begins behind the last colon: the first word keeps what stands before it.
      const kept = line.slice(line.lastIndexOf(" ") + 1, line.lastIndexOf(":") + 1);
      const words = wordsBehind(line, shown.slice(before)).map((word) => (word.startsWith(kept) ? word : `${kept}${word}`));
      expect(words.sort(), line).toEqual([...offers].sort());
    }
  });
});

it("zsh offers what there is", { timeout: 120_000 }, async ({ skip }) => {
  const zsh = required(programOnPath("zsh"), skip);
  mkdirSync(join(home.dir, "functions"), { recursive: true });
  writeFileSync(join(home.dir, "functions/_flywheel"), (await home.flywheel(["completion", "zsh"])).stdout);
  home.write(
    ".zshrc",
    `fpath=(${join(home.dir, "functions")} $fpath)
autoload -Uz compinit && compinit -u -D
_bazel() { compadd -- build test //my:one //my:two //other:three }
compdef _bazel bazel
unsetopt zle_bracketed_paste prompt_sp beep
zstyle ':completion:all::::' completer _all_matches _complete
zstyle ':completion:all:*' insert yes
zle -C all complete-word _generic
bindkey '^Xa' all
show() { print -r -- "<$BUFFER>"; BUFFER= }
zle -N show
bindkey '^T' show
PROMPT='ready> '
`,
  );
  await using terminal = startTerminal(zsh, ["-d", "-i"], { env: { ...env, ZDOTDIR: home.dir }, cwd: home.dir, cols: 400 });
  await terminal.until(/ready> /);
  for (const [line, offers] of table) {
    const before = terminal.output().length;
    terminal.write(`${line}\u0018a\u0014`);
    const shown = await terminal.until(new RegExp(`^[^]{${before},}<[^>]*>\r\n`));
    expect(wordsBehind(line, shown.slice(before)).sort(), line).toEqual([...offers].sort());
  }
});

it("fish offers what there is", { timeout: 120_000 }, async ({ skip }) => {
  const fish = required(programOnPath("fish"), skip);
  for (const [line, offers] of table) {
    const code = "source ./flywheel.fish; complete -c bazel -f -a 'build test //my:one //my:two //other:three'; complete -C $argv[1]";
    const { stdout } = await execa(fish, ["--no-config", "-c", code, line], { env, extendEnv: false, cwd: home.dir });
    const words = stdout.split("\n").flatMap((each) => (each === "" ? [] : [each.split("\t")[0] ?? ""]));
    expect(words.sort(), line).toEqual([...offers].sort());
  }
});

it("the values are this machine's, and nothing is started for them", async () => {
  expect((await home.flywheel(["completion", "--values", "profile"])).stdout).toBe("default\ngloriousflywheel\nwork\n");
  expect((await home.flywheel(["completion", "--values", "endpoint", "--json"])).stdout).toBe(
    `${JSON.stringify({ schema: 1, values: endpoints }, undefined, 2)}\n`,
  );
  expect(readdirSync(home.runtime)).toEqual(["attachment"]);
  expect(await home.flywheel(["completion"])).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining("flywheel completion bash|zsh|fish"),
  });
});

/** What stands in the line behind what was typed before its last word, from the last `<…>` of the output. */
function wordsBehind(line: string, output: string): string[] {
  const shown = [...output.matchAll(/<([^>]*)>\r\n/g)].at(-1)?.[1] ?? "";
  const head = line.slice(0, line.lastIndexOf(" ") + 1);
  expect(shown.startsWith(head), `${line} became ${shown}`).toBe(true);
  const words = shown.slice(head.length).trim();
  // Untouched: nothing was offered.
  return words === line.slice(head.length) ? [] : words.split(" ");
}
