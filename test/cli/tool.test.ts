import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Home, makeHome } from "./flywheel.ts";

const root = join(import.meta.dirname, "../..");
const main = join(root, "cli/main.ts");

let home: Home;
let env: Record<string, string>;
beforeAll(() => {
  home = makeHome();
  home.write(
    "tools/bazel",
    `#!/bin/sh
[ "$1" = version ] || exit 0
shift
printf '%s\\n' "pid=$$" "cwd=$PWD" "umask=$(umask)" "scope=$GF_GUARD_SCOPE" "bypass=\${GF_GUARD_BYPASS-unset}" "node=\${NODE_OPTIONS-unset}" "saved=\${GF_SAVED_NODE_OPTIONS-unset}" "args=$*"
grep SigIgn /proc/self/status
cat
exit 7
`,
    0o755,
  );
  env = { ...home.env, PATH: `${home.dir}/tools:${home.env["PATH"]}` };
});
afterAll(() => home.remove());

function run(args: readonly string[], more: Readonly<Record<string, string>> = {}) {
  return spawnSync(process.execPath, [main, ...args], { env: { ...env, ...more }, cwd: home.dir, encoding: "utf8", input: "from stdin" });
}

describe("exec", () => {
  test("the tool gets its arguments, the standard streams, the exit code, and the world as it was", () => {
    const ran = run(["exec", "--", "bazel", "version", "--json", "--help", "--", "a b"], {
      GF_SAVED_NODE_OPTIONS: "--max-old-space-size=9",
    });
    expect(ran.stderr).toBe("");
    expect(ran.status).toBe(7);
    expect(ran.stdout).toContain("args=--json --help -- a b\n");
    expect(ran.stdout).toContain(`cwd=${home.dir}\n`);
    expect(ran.stdout).toContain("scope=all\n");
    expect(ran.stdout).toContain("node=--max-old-space-size=9\nsaved=unset\n");
    // Node ignores SIGPIPE and SIGXFSZ; the tool must not.
    expect(ran.stdout).toContain("SigIgn:\t0000000000000000\n");
    expect(ran.stdout).toMatch(/from stdin$/);
  });

  test("it is the tool, not its parent", () => {
    const ran = run(["exec", "--", "bazel", "version"]);
    expect(Number(/pid=(\d+)/.exec(ran.stdout)?.[1])).toBe(ran.pid);
  });

  test("-- may be left out: from the tool's name on, every word is the tool's", () => {
    expect(run(["exec", "bazel", "version", "--profile", "x", "--", "y"]).stdout).toContain("args=--profile x -- y\n");
  });

  test.each([["cargo"], ["flywheel"], ["../bazel"], [".flywheel-shim"], [""]])("a tool without a shim: %j", (tool) => {
    const ran = run(["exec", "--", tool]);
    expect([ran.status, ran.stdout]).toEqual([127, ""]);
    expect(ran.stderr).toContain("there is no shim for");
  });

  test("30,000 arguments", () => {
    const many = Array.from({ length: 30_000 }, (_, index) => `//x:${index}`);
    const { stdout } = run(["exec", "--", "bazel", "version", ...many]);
    // A pipe left non-blocking would cut this short. Compared as a boolean: a diff of it would be long.
    expect(stdout.includes(`args=${many.join(" ")}\n`)).toBe(true);
  });
});

test.each(["nix", "nix-build", "nixos-rebuild", "home-manager"])(
  "exec and compat find the shim of %s, by the launcher and by Node",
  (name) => {
    home.write(`tools/${name}`, '#!/bin/sh\necho "$0 $*"\n', 0o755);
    const launcher = join(root, "dist/bin/flywheel");
    const forms = [["exec", "--"], ["exec"], ["compat", "--reason", "why", "--"], ["compat", "--reason=why", "--"]];
    for (const form of forms) {
      const ran = spawnSync(launcher, [...form, name, "--version"], { env, cwd: home.dir, encoding: "utf8" });
      expect([ran.status, ran.stdout], ran.stderr).toEqual([0, `${home.dir}/tools/${name} --version\n`]);
    }
    const none = spawnSync(launcher, ["exec", "--", "darwin-rebuild"], { env, encoding: "utf8" });
    expect([none.status, none.stdout]).toEqual([127, ""]);
    expect(none.stderr).toContain("darwin-rebuild: not found on PATH behind the shim");
  },
);

describe("compat", () => {
  test("runs the tool with the reason, once", () => {
    const ran = run(["compat", "--reason", " cache is down ", "--", "bazel", "version", "x"]);
    expect(ran.status).toBe(7);
    expect(ran.stdout).toContain("args=x\n");
  });
});

test.each(["exec", "compat"])("%s refuses arguments that are no UTF-8, and names the way that works", (command) => {
  const words = command === "exec" ? "exec" : "compat --reason why";
  const ran = spawnSync("sh", ["-c", `exec "$0" "$1" ${words} -- bazel version "$(printf '\\377')"`, process.execPath, main], {
    env,
    encoding: "utf8",
  });
  expect([ran.status, ran.stdout]).toEqual([2, ""]);
  expect(ran.stderr).toContain("argument 2 of the tool is not UTF-8");
  expect(ran.stderr).toContain("flywheel shim path");
});

test("compat as it is built: a reason of blanks is none, and a reason runs the tool", () => {
  const launcher = join(root, "dist/bin/flywheel");
  const blank = spawnSync(launcher, ["compat", "--reason", " \t ", "--", "bazel", "version"], { env, cwd: home.dir, encoding: "utf8" });
  expect([blank.status, blank.stdout]).toEqual([2, ""]);
  expect(blank.stderr).toContain("an escape needs a reason");
  const told = spawnSync(launcher, ["compat", "--reason", "a reason", "--", "bazel", "version", "x"], {
    env,
    cwd: home.dir,
    encoding: "utf8",
  });
  expect(told.status).toBe(7);
  expect(told.stdout).toContain("args=x\n");
});

describe("explain", () => {
  test("says class, decision and command line, and does nothing", () => {
    const ran = run(["explain", "--", "bazel", "version"]);
    expect(ran.status).toBe(0);
    expect(ran.stdout).toMatch(/class +light/);
    expect(ran.stdout).toContain(`${home.dir}/tools/bazel`);
  });

  test("a name that no shim guards: the same word and code as exec", () => {
    const [explained, ran] = [run(["explain", "--", "cargo", "build"]), run(["exec", "--", "cargo", "build"])];
    expect([explained.status, explained.stderr]).toEqual([127, ran.stderr]);
    expect(explained.stderr).toContain("there is no shim for cargo");
  });

  test("where nothing guards the workspace, how it would be", () => {
    const ran = run(["explain", "--", "bazel", "build", "//..."]);
    expect(ran.status).toBe(0);
    expect(ran.stdout).toMatch(
      /runs as it is: this workspace is not enrolled.*\n +next +\{ "enrollment": \{\} \} in tinyland\.repo\.json .*flywheel exec/,
    );
  });

  test("a refusal exits 1, as JSON too", () => {
    home.write("ws/WORKSPACE", "");
    const ran = run(["explain", "--json", "--", "bazel", "build", "//..."], { GF_GUARD_SCOPE: "all" });
    expect(ran.status).toBe(1);
    expect(JSON.parse(ran.stdout)).toMatchObject({ schema: 1, tool: "bazel", class: "heavy", decision: { kind: "refuse" } });
    // sh refuses nothing by itself.
    expect(run(["explain", "--", "bazel", "build", "//..."], { GF_GUARD_SCOPE: "all" }).stdout).toMatch(/path +slow/);
  });
});
