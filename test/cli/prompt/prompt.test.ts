/** The built script under each sh: its words, beside the TypeScript reading of the same files, and nothing in them that a shell would expand. */
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { readSegment } from "../../../cli/prompt/segment.ts";
import { type Published, serializePublished } from "../../../contract/published.ts";
import { readClock } from "../../../daemon/api/client/clock.ts";
import { endpointOf } from "../../fixtures/endpoint.ts";
import { programOnPath, required } from "../../fixtures/peers.ts";
import { startTerminal } from "../../fixtures/pty-line/pty.ts";
import { callAll, quoted } from "../../shim/calls.ts";
import { alive, script, shells } from "../../shim/house.ts";
import { type Home, makeHome } from "../flywheel.ts";

const root = join(import.meta.dirname, "../../..");
const built = join(root, "dist/bin/flywheel-prompt");

const nixEndpoint = endpointOf({ kind: "nix", scheme: "https", host: "nix-cache.example.org", port: 443, path: "/main" });
const nixTerms = { publicKey: `main:${"A".repeat(43)}=`, trustedUser: true } as const;

let home: Home;
let env: Record<string, string>;
beforeAll(() => {
  home = makeHome();
  script(join(home.write("tools/.keep", ""), "../nix"), "exit 1");
  // The rest of PATH has no Nix.
  env = { ...home.env, PATH: "/nowhere" };
});
beforeEach(() => rmSync(home.runtime, { recursive: true, force: true }));
afterAll(() => home.remove());

function publish(kind: "bazel" | "nix", over: Partial<Published> = {}): void {
  const nix = { kind: "nix", endpoint: nixEndpoint, aliases: [], nix: nixTerms } as const;
  home.write(`run/attachment/default/${kind}`, serializePublished({ ...alive(), ...(kind === "nix" ? nix : {}), ...over }), 0o600);
  chmodSync(home.runtime, 0o700);
}

const unattached = { state: "unattached", mode: "compatibility-local-only", endpoint: undefined, aliases: [] } as const;

describe.each(shells)("under $name", ({ command }) => {
  const prompt = async (args: readonly string[] = [], more: Readonly<Record<string, string>> = {}): Promise<string> => {
    const [shell = "", ...words] = command;
    const ran = await execa(shell, [...words, built, ...args], { env: { ...env, ...more }, extendEnv: false, stripFinalNewline: false });
    expect(ran.stderr).toBe("");
    return ran.stdout;
  };

  it("says where it stands in a word, and by which cache", async () => {
    expect(await prompt()).toBe("⚙ unattached\n");
    publish("bazel");
    expect(await prompt()).toBe("⚙ attached cache\n");
    publish("bazel", { aliases: [] });
    expect(await prompt()).toBe("⚙ attached 100.64.0.5\n");
    const sixth = endpointOf({ kind: "bazel", scheme: "grpc", host: "fd7a:115c:a1e0::5", port: 9092 });
    publish("bazel", { endpoint: sixth, aliases: [] });
    expect(await prompt()).toBe("⚙ attached fd7a:115c:a1e0::5\n");
    publish("bazel", { state: "local-proof" });
    expect(await prompt()).toBe("⚙ local-proof cache\n");
    publish("bazel", unattached);
    expect(await prompt()).toBe("⚙ unattached\n");
  });

  it("a stale lease is unattached; what may not be believed is unknown", async () => {
    const { seconds } = readClock();
    publish("bazel", { verified: seconds - 100, validUntil: seconds - 55 });
    expect(await prompt()).toBe("⚙ unattached\n");
    publish("bazel", { bootId: "00000000-0000-0000-0000-000000000000" });
    expect(await prompt()).toBe("⚙ unattached\n");
    publish("bazel");
    const file = join(home.runtime, "attachment/default/bazel");
    rmSync(file);
    symlinkSync(home.write("elsewhere", serializePublished(alive()), 0o600), file);
    expect(await prompt()).toBe("⚙ unknown\n");
    rmSync(file);
    mkdirSync(file);
    expect(await prompt()).toBe("⚙ unknown\n");
    expect(await prompt([], { GF_PROFILE: "$(touch pwned)" })).toBe("⚙ unknown\n");
    expect(await prompt([], { HOME: "" })).toBe("⚙ unknown\n");
  });

  it("names Nix only where there is one and it differs", async () => {
    publish("bazel");
    expect(await prompt()).toBe("⚙ attached cache\n");
    const withNix = { PATH: join(home.dir, "tools") };
    expect(await prompt([], withNix)).toBe("⚙ attached cache, nix unattached\n");
    publish("nix");
    expect(await prompt([], withNix)).toBe("⚙ attached cache\n");
    // Without its terms the guard attaches nothing.
    const { nix: _terms, ...bare } = { ...alive(), kind: "nix" as const, endpoint: nixEndpoint, aliases: [], nix: nixTerms };
    home.write("run/attachment/default/nix", serializePublished(bare), 0o600);
    expect(await prompt(["--format", "%n"])).toBe("unattached\n");
  });

  it("an exported escape is said instead; an empty one is none", async () => {
    publish("bazel");
    expect(await prompt([], { GF_GUARD_BYPASS: "cache is down" })).toBe("⚙ escape\n");
    expect(await prompt(["--format=%s:%e"], { GF_GUARD_BYPASS: "$(touch pwned)" })).toBe("escape:\n");
    expect(await prompt([], { GF_GUARD_BYPASS: "" })).toBe("⚙ attached cache\n");
  });

  it("takes a format, a symbol and each prompt's colours", async () => {
    publish("bazel");
    expect(await prompt(["--format", "[%i] %s/%n %h %e %p 100%%", "--symbol", "*"])).toBe(
      "[*] attached/unattached cache 100.64.0.5 default 100%\n",
    );
    expect(await prompt(["--format", "%%", "--color", "zsh"])).toBe("%F{green}%%%f\n");
    expect(await prompt(["--symbol=", "--color=bash"])).toBe("\u0001\u001b[32m\u0002attached cache\u0001\u001b[39m\u0002\n");
    expect(await prompt(["--color", "tmux"])).toBe("#[fg=green]⚙ attached cache#[fg=default]\n");
    expect(await prompt(["--color", "fish"])).toBe("\u001b[32m⚙ attached cache\u001b[39m\n");
    expect(await prompt(["--color", "ansi"], { NO_COLOR: "1" })).toBe("⚙ attached cache\n");
    // printf would act on them.
    expect(await prompt(["--symbol", "\\n%s"])).toBe("\\n%s attached cache\n");
  });
});

it("starts no other process", async ({ skip }) => {
  const strace = required(programOnPath("strace"), skip);
  if (!existsSync("/proc/uptime")) skip("there is no /proc: the clock is a process there");
  publish("bazel");
  for (const called of [
    [built, "--color", "bash"],
    [join(root, "dist/shim/flywheel"), "prompt", "--format", "%s%n%h"],
  ]) {
    const { stdout, stderr } = await execa(strace, ["-f", "-e", "trace=execve,fork,vfork,clone,clone3", ...called], {
      env,
      extendEnv: false,
    });
    expect(stdout).toContain("attached");
    expect(stderr.match(/^(?:\[pid.*\] )?(?:execve|v?fork|clone3?)\(/gm)).toEqual(["execve("]);
  }
});

describe("through flywheel", () => {
  it.each(shells)("under $name, the launcher reads the script in", async ({ command: [shell = "", ...words] }) => {
    publish("bazel");
    const ran = await execa(shell, [...words, join(root, "dist/bin/flywheel"), "prompt", "--symbol", "*"], { env, extendEnv: false });
    expect([ran.stdout, ran.stderr]).toEqual(["* attached cache", ""]);
  });

  it.each([join(root, "dist/bin/flywheel"), join(root, "dist/shim/flywheel")])("%s: the same segment, without Node", async (flywheel) => {
    publish("bazel");
    // No Node on PATH: only the script can have answered.
    const ran = await execa(flywheel, ["prompt"], { env, extendEnv: false });
    expect([ran.stdout, ran.stderr]).toEqual(["⚙ attached cache", ""]);
  });

  it("leaves help, --json and mistakes to Node, which says the same", async () => {
    publish("bazel");
    publish("nix");
    const node = { env: { ...env, PATH: `${join(root, "node_modules/.bin")}:/usr/bin:/bin` }, extendEnv: false, reject: false } as const;
    for (const called of [[join(root, "dist/bin/flywheel"), "prompt"], [built], [join(root, "dist/shim/flywheel-prompt")]]) {
      const [file = "", ...words] = called;
      expect(JSON.parse((await execa(file, [...words, "--json"], node)).stdout)).toMatchObject({
        bazel: "attached",
        host: "100.64.0.5",
        name: "cache",
      });
      expect(await execa(file, [...words, "--format", "%q"], node)).toMatchObject({
        exitCode: 2,
        stderr: expect.stringContaining("%q stands for nothing"),
      });
      expect(await execa(file, [...words, "--help"], node)).toMatchObject({
        exitCode: 0,
        stdout: expect.stringContaining("Usage: flywheel prompt"),
      });
    }
    expect((await home.flywheel(["prompt", "--color", "zsh"])).stdout).toBe("%F{green}⚙ attached cache%f\n");
  });
});

/** What a shell, a terminal or tmux could act upon, and what the grammars are about. */
const hostile = fc.constantFrom(
  ...[
    "$(touch pwned)",
    "`touch pwned`",
    "${HOME}",
    "a[$(touch pwned)]",
    "%n%#",
    "#[fg=red]",
    "#(touch pwned)",
    "\\[\\e[31m\\]",
    "\u001b]0;x\u0007",
  ],
  ...[
    "'",
    '"',
    "\\",
    "*",
    "é",
    "\u{1f600}",
    "\r",
    "",
    " ",
    "none",
    "0",
    "007",
    "-1",
    "999999999999",
    "9999999999999",
    "true",
    "boot",
    "wall",
  ],
  ...[
    "grpc://100.64.0.9:1",
    "grpc://$(touch pwned):1",
    "grpc://a%b:1",
    "grpc://h.example:09092",
    "https://x_y.example/main",
    "grpc://[fd7a::0:1]:1",
  ],
  ...["unattached", "local-proof", "executor-backed", "compatibility-local-only", "x".repeat(8200), `$(${"x".repeat(300)})`],
);
const keys = [
  "kind",
  "profile",
  "state",
  "mode",
  "endpoint",
  "alias",
  "verified",
  "valid-until",
  "clock",
  "boot-id",
  "pid",
  "upload",
  "slow",
  "reason",
];
type Edit = (lines: readonly string[]) => readonly string[];
const edit: fc.Arbitrary<Edit> = fc.oneof(
  fc.tuple(fc.constantFrom(...keys, "key", "trusted-user"), hostile).map(
    ([key, value]): Edit =>
      (lines) =>
        lines.map((line) => (line.startsWith(`${key} `) ? `${key} ${value}` : line)),
  ),
  fc.tuple(fc.nat(16), fc.constantFrom(...keys, "new", ""), hostile).map(
    ([at, key, value]): Edit =>
      (lines) =>
        lines.toSpliced(at, 0, `${key} ${value}`),
  ),
  fc.nat(16).map(
    (at): Edit =>
      (lines) =>
        lines.toSpliced(at, 1),
  ),
  fc.constant<Edit>((lines) => lines.slice(0, -1)),
);

it.each(shells)(
  "$name believes no more than TypeScript, and lets nothing out that a shell expands",
  { timeout: 120_000 },
  async ({ command }) => {
    const count = 300;
    const cases = fc.sample(fc.tuple(fc.constantFrom("bazel" as const, "nix" as const), fc.array(edit, { maxLength: 2 })), {
      seed: 20_261_121,
      numRuns: count,
    });
    const before = readdirSync(home.dir);
    const place = (index: number): string => join(home.runtime, String(index));
    const calls = cases.map(([kind, edits], index) => {
      const nix = { kind: "nix", endpoint: nixEndpoint, aliases: [], nix: nixTerms } as const;
      const lines = serializePublished({ ...alive(), ...(kind === "nix" ? nix : {}) }).split("\n");
      mkdirSync(join(place(index), "attachment/default"), { recursive: true, mode: 0o700 });
      writeFileSync(
        join(place(index), "attachment/default", kind),
        edits.reduce<readonly string[]>((now, each) => each(now), lines).join("\n"),
        { mode: 0o600 },
      );
      // Ends as the calls' reader has it: each answer with a NUL.
      return `printf '%s\\0' "$(GF_RUNTIME_DIR=${quoted(place(index))} ${[...command, built].map(quoted).join(" ")} --format '%s|%n|%e|%h')"`;
    });
    const { words, stderr } = await callAll(calls, { file: join(home.dir, "calls"), env, cwd: home.dir });
    expect(stderr).toBe("");
    const seen = { believed: 0, unattached: 0, unknown: 0, apart: 0 };
    for (const [index, answer] of words.entries()) {
      const said = answer?.[0] ?? "";
      expect(said).toMatch(/^[a-z-]+\|[a-z-]+\|[a-z0-9._:-]*\|[a-z0-9._:-]*$/);
      const { bazel, nix, host, name } = readSegment({ config: "/nowhere", state: "/nowhere", runtime: place(index) }, "default", env);
      const [kind] = cases[index] ?? ["bazel"];
      const [word, expected] = kind === "bazel" ? [said.split("|")[0], bazel] : [said.split("|")[1], nix];
      if (word === "unknown") seen.unknown += 1;
      else if (word === "unattached") {
        seen.unattached += 1;
        expect(["unattached", "unknown"]).toContain(expected);
      } else {
        seen.believed += 1;
        expect(said, JSON.stringify(cases[index])).toBe([bazel, nix, host, name].join("|"));
      }
      if (word !== expected) seen.apart += 1;
    }
    expect(words.length).toBe(count);
    for (const each of [seen.believed, seen.unattached, seen.unknown]) expect(each, JSON.stringify(seen)).toBeGreaterThan(count / 40);
    // Apart only where sh is the stricter one: numbers with a zero in front, spellings that are not canonical, the other boot's id.
    expect(seen.apart, JSON.stringify(seen)).toBeLessThan(count / 10);
    expect(readdirSync(home.dir).filter((name) => name !== "calls" && name !== "run")).toEqual(
      before.filter((name) => name !== "calls" && name !== "run"),
    );
  },
);

describe("in real prompts", () => {
  it("bash knows the width of it, and expands nothing", async ({ skip }) => {
    const bash = required(programOnPath("bash"), skip);
    publish("bazel");
    const line = `PS1='$("$1" --color bash --format "$2")> '; printf '%s' "\${PS1@P}"`;
    const { stdout } = await execa(bash, ["--norc", "-c", line, "bash", built, "%s $(touch pwned)"], {
      env,
      extendEnv: false,
      cwd: home.dir,
    });
    expect(stdout).toBe("\u0001\u001b[32m\u0002attached $(touch pwned)\u0001\u001b[39m\u0002> ");
    expect(readdirSync(home.dir)).not.toContain("pwned");
  });

  it("zsh takes the colour, and a percent sign for one", async ({ skip }) => {
    const zsh = required(programOnPath("zsh"), skip);
    publish("bazel");
    const line = `setopt prompt_subst; PROMPT='$($1 --color zsh --format "%s 100%%")> '; print -rn -- "\${(%%)\${(e)PROMPT}}"`;
    const { stdout } = await execa(zsh, ["-f", "-c", line, "zsh", built], { env: { ...env, TERM: "xterm-256color" }, extendEnv: false });
    expect(stdout).toBe("\u001b[32mattached 100%\u001b[39m> ");
  });

  it("fish knows the width of it", async ({ skip }) => {
    const fish = required(programOnPath("fish"), skip);
    publish("bazel");
    const line = 'string length --visible ($argv[1] --color fish --symbol "")';
    expect((await execa(fish, ["--no-config", "-c", line, built], { env, extendEnv: false })).stdout).toBe(String("attached cache".length));
  });

  it("tmux takes the colour", async ({ skip }) => {
    const tmux = required(programOnPath("tmux"), skip);
    publish("bazel");
    const line = `set -g status-interval 1; set -g status-right-length 80; set -g status-right "#(${built} --color tmux)"`;
    writeFileSync(join(home.dir, "tmux.conf"), line.replaceAll("; ", "\n"));
    const own = ["-L", `gf-${process.pid}`, "-f", join(home.dir, "tmux.conf")];
    const options = { env: { ...env, PATH: "/usr/bin:/bin", TMUX_TMPDIR: home.dir, TERM: "xterm-256color" }, cwd: home.dir };
    await using terminal = startTerminal(tmux, [...own, "new-session", "sh"], options);
    try {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: the colour
      await terminal.until(/\u001b\[[0-9;]*32[0-9;]*m⚙ attached cache/);
    } finally {
      await execa(tmux, [...own, "kill-server"], { ...options, extendEnv: false });
    }
  });
});
