/** What `flywheel shell` says of the attachment, and when: a real daemon, a cache that comes and goes. */
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { npmBazel } from "../../fixtures/bazel/real.ts";
import { removeBazelRoot, startupOptions } from "../../fixtures/bazel/run.ts";
import { type RunningCache, startCache } from "../../fixtures/caches/start.ts";
import { statusWhen } from "../../fixtures/guarded.ts";
import { programOnPath, required } from "../../fixtures/peers.ts";
import type { Outer } from "../../fixtures/pty/outer.ts";
import { makeStage, type Stage } from "../../fixtures/stage.ts";
import { ask, followingShells, type House, makeHouse, ready } from "./house.ts";

let cache: RunningCache;
let stage: Stage;
let house: House;
beforeAll(async () => {
  cache = await startCache({ kind: "grpc" });
  const tailnet = { nodes: [{ name: "cache", addresses: ["127.0.0.1"], tags: ["tag:bazel-cache"] }] };
  stage = await makeStage([], { grpcPorts: [cache.port], httpPorts: [], tailnet });
  house = makeHouse({ ...stage.env, CI: "" });
});
afterAll(async () => {
  house[Symbol.dispose]();
  await stage.dispose();
  await cache.dispose();
});

beforeEach(async () => {
  expect((await stage.flywheel(["up"])).exitCode).toBe(0);
});

const attached = "flywheel: local-proof (cache.tail0ffee.ts.net)";

/** Has the attachment go, and waits until the daemon says so. */
async function detach(): Promise<void> {
  await stage.flywheel(["detach"]);
  await statusWhen(stage, "detached", ({ bazel }) => bazel.state === "unattached");
}

async function attach(): Promise<void> {
  await stage.flywheel(["up"]);
  await statusWhen(stage, "attached", ({ bazel }) => bazel.state === "attached");
}

/** Resolves once the terminal has that title. */
function titled(outer: Outer, title: string): Promise<void> {
  return outer.until(() => outer.title() === title);
}

/** Everything that flywheel said in words, in order; titles say it too. */
function said(outer: Outer): string[] {
  const [first = "", ...rest] = outer.written().toString().split("\u001b]");
  const text = first + rest.map((each) => each.slice(each.indexOf("\u0007") + 1)).join("");
  return [...text.matchAll(/flywheel: ([a-z ]+)/g)].map(([, words = ""]) => words);
}

test("a daemon is started on entering, and the shell is attached", async () => {
  await stage.down();
  await using outer = house.flywheel("bash");
  await ready(outer);
  expect(outer.screen().replaceAll("\n", "")).toContain(
    `flywheel: attached, local-proof: grpc://127.0.0.1:${cache.port} on cache.tail0ffee.ts.net`,
  );
  expect(await ask(outer, 'echo "$BAZEL_REMOTE_CACHE $GF_FLYWHEEL_PROFILE_STATE"')).toBe(`grpc://127.0.0.1:${cache.port} local-proof`);
  await titled(outer, attached);
});

describe.each(followingShells)("%s", (shell) => {
  test("a change is told once, before a prompt, and the environment follows", async ({ skip }) => {
    required(programOnPath(shell), skip);
    await using outer = house.flywheel(shell);
    const state = 'echo "$GF_FLYWHEEL_PROFILE_STATE$BAZEL_REMOTE_CACHE"';
    expect(await ask(outer, state)).toBe(`local-proofgrpc://127.0.0.1:${cache.port}`);
    await detach();
    // The line that is typed meanwhile is the last with what was.
    await ask(outer, "true");
    expect(await ask(outer, state)).toBe("");
    await ask(outer, "true");
    await attach();
    await ask(outer, "true");
    expect(await ask(outer, state)).toBe(`local-proofgrpc://127.0.0.1:${cache.port}`);
    expect(said(outer)).toEqual(["attached", "not attached", "attached"]);
  });
});

describe("while a program owns the screen", () => {
  test("nothing is written but the title; what changed is told at the next prompt", async ({ skip }) => {
    required(programOnPath("vim"), skip);
    await using outer = house.flywheel("bash");
    await titled(outer, attached);
    await ready(outer);
    outer.type("vim -u NONE -i NONE -n -N poem\r");
    await outer.until(/^~ *$/m);
    const screen = outer.screen();
    await detach();
    await titled(outer, "flywheel: not attached");
    expect(outer.screen()).toBe(screen);
    outer.type(":q\r");
    await ready(outer);
    expect(said(outer)).toEqual(["attached", "not attached"]);
    expect(outer.screen()).toMatch(/flywheel: not attached: [^\n]+(?:\n[^\n]+)*\nready>$/);
  });

  test("a title that it sets itself stays until the next prompt", async () => {
    await using outer = house.flywheel("bash");
    await titled(outer, attached);
    await ready(outer);
    outer.type("printf '\\033]0;its own\\007'; read line\r");
    await titled(outer, "its own");
    await detach();
    // A later change that is shown proves that this one was not: there is no event for what does not happen.
    await attach();
    expect(outer.title()).toBe("its own");
    outer.type("\r");
    await titled(outer, attached);
  });
});

test("a prompt that sets the title has it for itself", async () => {
  house.write("titled", "PS1='\\[\\033]0;prompt title\\007\\]ready> '\n");
  await using outer = house.flywheel("bash");
  await ask(outer, `. ${stage.env["HOME"]}/titled`);
  expect(outer.title()).toBe("prompt title");
  await detach();
  await ask(outer, "true");
  expect(outer.title()).toBe("prompt title");
});

test("--no-title writes none, and neither does a terminal that takes none get one", async () => {
  for (const [args, env] of [
    [["--no-title"], {}],
    [[], { TERM: "linux" }],
  ] as const) {
    await using outer = house.flywheel("bash", args, { env });
    await ask(outer, "true");
    await detach();
    await ask(outer, "true");
    outer.type("exit\r");
    await outer.ended;
    expect(outer.written().includes("\u001b]2;") || outer.written().includes("\u001b[22;2t")).toBe(false);
    await attach();
  }
});

test("the title is given back at the end", async () => {
  await using outer = house.flywheel("bash");
  await ready(outer);
  outer.type("exit\r");
  await outer.ended;
  const written = outer.written().toString();
  expect(written.indexOf("\u001b[22;2t")).toBeLessThan(written.indexOf("\u001b]2;"));
  expect(written.lastIndexOf("\u001b[23;2t")).toBeGreaterThan(written.lastIndexOf("\u001b]2;"));
});

test("--status: a line before each prompt, on a line of its own", async () => {
  await using outer = house.flywheel("bash", ["--status"], { columns: 160 });
  await ready(outer);
  const line = new RegExp(`^flywheel: local-proof: grpc://127.0.0.1:${cache.port} on cache.tail0ffee.ts.net, .* ms, proved \\d+ s ago$`);
  const above = (): string => outer.screen().split("\n").at(-2) ?? "";
  expect(above()).toMatch(line);
  outer.type("printf 'no newline'\r");
  await outer.until(/^no newline\nflywheel: .*\nready>$/m);
  expect(above()).toMatch(line);
  await detach();
  outer.type("\r");
  await outer.until(/flywheel: not attached: [^\n]*\nready>$/);
});

test("the daemon may go and come back", async () => {
  await using outer = house.flywheel("bash");
  await titled(outer, attached);
  await stage.down();
  await titled(outer, "flywheel: not attached (no daemon)");
  await attach();
  await titled(outer, attached);
  // The environment follows before a prompt: the one that stands there was written before.
  await ask(outer, "true");
  expect(await ask(outer, 'echo "$GF_FLYWHEEL_PROFILE_STATE"')).toBe("local-proof");
});

describe("at the end", () => {
  test("refusals and escapes are summed up", async () => {
    const tools = join(stage.dir, "fake-tools");
    mkdirSync(tools, { recursive: true });
    writeFileSync(join(tools, "bazel"), "#!/bin/sh\n", { mode: 0o755 });
    await detach();
    await using outer = house.flywheel("bash", [], { env: { PATH: `${tools}:/usr/bin:/bin` } });
    expect(await ask(outer, 'bazel build //...; echo "code $?"')).toMatch(/flywheel: refused bazel build: (?:.|\n)*code 78$/);
    expect(await ask(outer, 'flywheel compat --reason testing -- bazel build //...; echo "code $?"')).toMatch(/code 0$/);
    outer.type("exit\r");
    await outer.ended;
    expect(outer.written().toString()).toContain(
      "flywheel: while this shell was open, 1 command was refused, 1 command ran without the cache; next: flywheel history",
    );
  });

  test("where nothing happened, nothing is said", async () => {
    await using outer = house.flywheel("bash");
    await ready(outer);
    outer.type("exit\r");
    await outer.ended;
    expect(outer.written().toString()).not.toContain("while this shell");
  });
});

test("a real build is interrupted by Ctrl-C: exit code 8, and the shell goes on", { timeout: 120_000 }, async ({ skip }) => {
  const bazel = required(npmBazel(), skip);
  const root = join(stage.dir, "bazel-root");
  const workspace = join(stage.dir, "workspace");
  for (const each of [root, workspace, join(stage.dir, "real")]) mkdirSync(each, { recursive: true });
  symlinkSync(bazel, join(stage.dir, "real/bazel"));
  writeFileSync(join(workspace, "WORKSPACE"), "");
  writeFileSync(join(workspace, "BUILD.bazel"), 'genrule(name = "slow", outs = ["slow.txt"], cmd = "sleep 300; echo > $@")\n');
  try {
    await using outer = house.flywheel("bash", [], { cwd: workspace, env: { PATH: `${join(stage.dir, "real")}:/usr/bin:/bin` } });
    await ready(outer);
    writeFileSync(join(workspace, "build.sh"), `bazel ${startupOptions(root).join(" ")} build //:slow\necho "code $?"\n`);
    outer.type(". ./build.sh\r");
    await outer.until(/Executing genrule \/\/:slow/);
    outer.type("\u0003");
    await outer.until("code 8");
    expect(await ask(outer, "echo goes on")).toBe("goes on");
  } finally {
    await removeBazelRoot(root);
  }
});
