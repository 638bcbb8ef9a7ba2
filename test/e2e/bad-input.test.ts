/** What people, repositories and strangers may write, end to end: malformed files, hostile endpoints, odd command lines, strings that would command a terminal. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { execa } from "execa";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { StatusReport } from "../../contract/api.ts";
import { injectedFlags } from "../../contract/bazel/injection.ts";
import { parseEndpoint } from "../../contract/endpoint.ts";
import { type RunningCache, startCache } from "../fixtures/caches/start.ts";
import { bazel, daemonOf, expectAttachedTo, expectRefused, longestHang, statusWhen } from "../fixtures/guarded.ts";
import { built, makeStage, type Ran, type Stage } from "../fixtures/stage.ts";
import { type RecordingTool, recordingTool } from "../fixtures/tools/recording.ts";

const tailnet = { nodes: [{ name: "cache", addresses: ["127.0.0.1"], tags: ["tag:bazel-cache"] }] };

let root: string;
let tool: RecordingTool;
let cache: RunningCache;
let stage: Stage;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "gf-bi-"));
  tool = recordingTool(join(root, "tools"));
  cache = await startCache({ kind: "grpc" });
  stage = await makeStage([tool.directory], { grpcPorts: [cache.port], httpPorts: [], tailnet });
});
afterAll(async () => {
  await stage.dispose();
  await cache.dispose();
  rmSync(root, { recursive: true, force: true });
});
beforeEach(() => tool.forget());

describe("a malformed file", () => {
  interface BadFile {
    readonly file: string;
    readonly what: string;
    readonly text: string;
    /** Behind the file's path. */
    readonly says: RegExp;
  }
  const configurations: readonly BadFile[] = [
    { file: "config.toml", what: "no TOML", text: '[guard]\nscope = "all"\nworkspaces = [\n', says: /:[34]: / },
    {
      file: "config.toml",
      what: "another value",
      text: '[guard]\n\nscope = "some"\n',
      says: /:3: guard\.scope: expected "enrolled" or "all"/,
    },
    { file: "config.toml", what: "another type", text: "[endpoints]\nbazel = 5\n", says: /:2: endpoints\.bazel: expected a list, found 5/ },
    { file: "config.toml", what: "an unknown setting", text: '[guard]\nscoop = "all"\n', says: /:2: guard\.scoop: is not a setting/ },
    {
      file: "config.toml",
      what: "two faults",
      text: '[guard]\nscope = 1\n[tailnet]\nsocket = "x"\n',
      says: /:2: .*:4: tailnet\.socket: expected an absolute path/,
    },
    { file: "profiles/default.toml", what: "no TOML", text: "[bazel]\ngrpc_ports = [1\n\n[nix]\n", says: /:[234]: / },
    {
      file: "profiles/default.toml",
      what: "another value",
      text: '[bazel]\ntag = "bazel-cache"\n',
      says: /:2: bazel\.tag: expected a Tailscale tag such as tag:bazel-cache/,
    },
    {
      file: "profiles/default.toml",
      what: "another type",
      text: '[bazel]\nupload = "yes"\n',
      says: /:2: bazel\.upload: expected true or false, found "yes"/,
    },
    { file: "trust.json", what: "no JSON", text: '{\n  "v": 1,\n  "tailnets": [,]\n}\n', says: /:3: / },
    {
      file: "trust.json",
      what: "another version",
      text: '{\n  "v": 2,\n  "tailnets": [],\n  "files": [],\n  "keys": []\n}\n',
      says: /:2: v: .*Expected 1 but received 2/,
    },
    {
      file: "trust.json",
      what: "another type",
      text: '{\n  "v": 1,\n  "tailnets": [],\n  "files": "all",\n  "keys": []\n}\n',
      says: /:4: files: .*Expected Array but received "all"/,
    },
  ];
  const saved = new Map<string, string | undefined>();

  beforeAll(async () => {
    await stage.down();
    for (const file of ["config.toml", "profiles/default.toml", "trust.json"]) saved.set(file, read(file));
  });
  afterEach(() => {
    for (const [file, text] of saved) text === undefined ? rmSync(path(file), { force: true }) : writeFileSync(path(file), text);
  });
  const path = (file: string): string => join(stage.dir, "config", file);
  const read = (file: string): string | undefined => (existsSync(path(file)) ? readFileSync(path(file), "utf8") : undefined);

  function expectSaid(run: Ran, exitCode: number, file: string, says: RegExp): void {
    expect(run.exitCode, run.stderr).toBe(exitCode);
    expect(run.stdout).toBe("");
    const [first = ""] = run.stderr.split("\n");
    expect(first).toContain(path(file));
    expect(first.slice(first.indexOf(path(file)) + path(file).length)).toMatch(says);
    expect(run.stderr).toMatch(/\n {2}next: mend /);
    expect(run.stderr).not.toMatch(/\n\s+at /);
  }

  test.each(configurations)("$file, $what: file, line and what was expected", async ({ file, text, says }) => {
    writeFileSync(path(file), text);
    const guard = await bazel(stage, ["build", "//x"]);
    expectSaid(guard, 78, file, says);
    expectRefused(guard, tool, says);
    expectSaid(await stage.flywheel(["up"]), 1, file, says);
    if (file.startsWith("profiles")) expectSaid(await stage.flywheel(["contract"]), 1, file, says);
    if (file === "trust.json") expectSaid(await stage.flywheel(["trust", "--list"]), 1, file, says);
    // These read what a daemon knows, and there is none: they say that, and do not fall over.
    const status = await stage.flywheel(["status"]);
    expect(status.exitCode, status.stderr).toBe(3);
    expect((await stage.flywheel(["env"])).exitCode).toBe(0);
    // Light commands, and the way out, work all the same.
    expect((await bazel(stage, ["info"])).exitCode).toBe(0);
    expect((await stage.flywheel(["compat", "--reason", "broken file", "--", "bazel", "build", "//x"])).exitCode).toBe(0);
    expect(read(file)).toBe(text);
  });

  test("one that a daemon reads again: the old one holds, and status says so", async () => {
    expectAttachedTo(await bazel(stage, ["build", "//x"]), tool, cache.url);
    writeFileSync(path("config.toml"), "[guard]\nscope = 1\n");
    await expect(daemonOf(stage).reload()).rejects.toMatchObject({
      code: "config-invalid",
      message: expect.stringContaining(`${path("config.toml")}:2: `),
    });
    const status = await stage.flywheel(["status"]);
    expect(status.exitCode).toBe(0);
    expect(status.stdout).toContain(`the old configuration holds: ${path("config.toml")}:2: guard.scope: `);
    await stage.down();
  });

  const manifests: readonly (readonly [string, string, RegExp])[] = [
    ["no JSON", '{\n  "enrollment": {\n}\n', /tinyland\.repo\.json:4: /],
    ["another type", '{\n  "enrollment": []\n}\n', /tinyland\.repo\.json:2: enrollment: expected an object/],
    ["another mode", '{\n  "enrollment": {\n    "substrateMode": "fast"\n  }\n}\n', /tinyland\.repo\.json:3: enrollment\.substrateMode: /],
    [
      "an unknown key",
      '{\n  "enrollment": {\n    "mode": "shared-cache-backed"\n  }\n}\n',
      /tinyland\.repo\.json:3: enrollment\.mode: is not a key/,
    ],
    ["no object", "[]\n", /tinyland\.repo\.json:1: it must hold an object/],
  ];
  test.each(manifests)("tinyland.repo.json, %s: file, line and what was expected, in whatever scope", async (what, text, says) => {
    const workspace = join(root, `manifest ${what}`);
    mkdirSync(join(workspace, "package"), { recursive: true });
    writeFileSync(join(workspace, "tinyland.repo.json"), text);
    for (const scope of ["all", "enrolled"]) {
      const run = await bazel(stage, ["build", "//x"], { cwd: join(workspace, "package"), env: { GF_GUARD_SCOPE: scope } });
      expectRefused(run, tool, says);
      expect(run.stderr).toMatch(/next: mend \/.*tinyland\.repo\.json/);
    }
    const explained = await stage.flywheel(["explain", "--", "bazel", "build", "//x"], { cwd: workspace });
    expect(explained.stdout).toMatch(says);
  });
});

describe("a hostile endpoint", () => {
  const trap = (): string => join(root, "executed");
  const endpoints: readonly (readonly [string, () => string])[] = [
    ["a space", () => "grpc://cache one:9092"],
    ["a double quote", () => 'grpc://cache"one:9092'],
    ["a single quote", () => "grpc://cache'one:9092"],
    ["a newline", () => "grpc://cache:9092\n--remote_executor=grpc://evil:1"],
    ["a command substitution", () => `grpc://$(touch ${trap()}):9092`],
    ["backquotes", () => `grpc://\`touch ${trap()}\`:9092`],
    ["a semicolon", () => `grpc://cache:9092;touch ${trap()}`],
    ["an escape sequence", () => "grpc://\u001b]0;owned\u0007cache:9092"],
    ["a leading dash", () => "--remote_executor=grpc://evil:1"],
    ["userinfo", () => "https://user:secret@cache.example"],
    ["a host of 10,000 characters", () => `grpc://${"a".repeat(10_000)}:9092`],
    ["a port beyond all", () => "grpc://cache:99999"],
    ["an unexpanded variable", () => "grpc://$HOST:9092"],
  ];

  beforeAll(async () => {
    const up = await stage.flywheel(["up"]);
    expect(up.exitCode, up.stderr).toBe(0);
  });

  test.each(endpoints)("%s: turned down by attach, in BAZEL_REMOTE_CACHE and in config.toml", async (_, make) => {
    const text = make();
    const attach = await stage.flywheel(["attach", "--", text]);
    expect(attach.exitCode, attach.stderr).toBe(1);
    expectPlain(attach.stderr);
    expect(attach.stderr.length).toBeLessThan(400);
    expect(attach.stderr).toMatch(/\n {2}next: /);
    const run = await bazel(stage, ["build", "//x"], { env: { BAZEL_REMOTE_CACHE: text } });
    expectRefused(run, tool, /BAZEL_REMOTE_CACHE: (?:the |credentials )/);
    expectPlain(run.stderr);
    expect(run.stderr).not.toContain("secret");
    const file = join(stage.dir, "config/config.toml");
    const before = readFileSync(file, "utf8");
    try {
      writeFileSync(file, `${before}[endpoints]\nbazel = [${JSON.stringify(text)}]\n`);
      await daemonOf(stage).reload();
      const status = await statusWhen(stage, "the rejection", ({ rejections }) => rejections.some((one) => one.source === "operator"));
      const [rejection] = status.rejections.filter((one) => one.source === "operator");
      expect(rejection?.reason).toMatch(/^(?:the |credentials )/);
      expect(JSON.stringify(rejection)).not.toMatch(/secret|\\u001b|\\u0007/);
      // Nothing else suffers from it.
      expect(status.bazel.endpoint).toBe(cache.url);
    } finally {
      writeFileSync(file, before);
      await daemonOf(stage).reload();
    }
    const kept = join(stage.dir, "state/operator.json");
    expect(existsSync(kept) && readFileSync(kept, "utf8").includes("evil")).toBe(false);
    expect(existsSync(trap())).toBe(false);
  });
});

describe("odd command lines", () => {
  /** Whatever the guard adds: here it matters that the words around it arrive. */
  const flags = (): readonly string[] => {
    const parsed = parseEndpoint(cache.url, "bazel");
    return parsed.ok ? injectedFlags({ endpoint: parsed.endpoint, aliases: [], upload: false, instanceName: undefined }) : [];
  };

  beforeAll(async () => {
    const up = await stage.flywheel(["up"]);
    expect(up.exitCode, up.stderr).toBe(0);
    // A verdict on this place, so that the fast path is fast: it rests on no file of this very second.
    const earlier = new Date(Date.now() - 60_000);
    utimesSync(join(stage.dir, "config/config.toml"), earlier, earlier);
    expectAttachedTo(await bazel(stage, ["build", "//x"]), tool, cache.url);
  });

  /** Bytes cannot be given to a child by Node: sh makes them. */
  const bytes = (command: string): Promise<Ran> =>
    execa("/bin/sh", ["-c", command], { env: stage.env, extendEnv: false, reject: false, cwd: root }).then(
      ({ exitCode, stdout, stderr }) => ({
        exitCode: exitCode ?? -1,
        stdout,
        stderr,
      }),
    );

  test("arguments that are not UTF-8 arrive byte for byte, on the fast path and the slow one", async () => {
    const odd = "//x:\u00ff\u00fe\u00e4 \u0001";
    const fast = await bytes(`bazel build "$(printf '//x:\\377\\376\\344 \\001')"`);
    expect(fast.exitCode, fast.stderr).toBe(0);
    expect(tool.words()).toEqual(["build", odd, ...flags()]);
    tool.forget();
    const slow = await bytes(`bazel build --remote_accept_cached "$(printf '//x:\\377\\376\\344 \\001')"`);
    expect(slow.exitCode, slow.stderr).toBe(0);
    expect(tool.words()).toEqual(["build", "--remote_accept_cached", odd, ...flags()]);
    tool.forget();
    const light = await bytes(`bazel info "$(printf '\\377')"`);
    expect(light.exitCode).toBe(0);
    expect(tool.words()).toEqual(["info", "\u00ff"]);
  });

  test.each([
    ["exec", "exec --"],
    ["compat", "compat --reason why --"],
  ])(
    "… and through flywheel %s; where Node has to read them, it says that it would change them, and what does not",
    async (name, plain) => {
      const run = await bytes(`'${built.flywheel}' ${plain} bazel build "$(printf '//x:\\377')"`);
      expect(run.exitCode, run.stderr).toBe(0);
      expect(tool.words()).toEqual(["build", "//x:\u00ff", ...(name === "exec" ? flags() : [])]);
      tool.forget();
      const options = plain.replace(name, `${name} --debug`);
      const refused = await bytes(`'${built.flywheel}' ${options} bazel build "$(printf '//x:\\377')"`);
      expect(refused.exitCode).toBe(2);
      expect(refused.stderr).toMatch(
        /^flywheel: argument 2 of the tool is not UTF-8 and would reach it changed\n {2}next: call the shim itself: /,
      );
      expect(tool.words()).toBeUndefined();
    },
  );

  test("a command line without words, and with empty ones", async () => {
    expect((await bazel(stage, [])).exitCode).toBe(0);
    expect(tool.words()).toEqual([]);
    expect((await bazel(stage, ["build", "", "//x", ""])).exitCode).toBe(0);
    expect(tool.words()).toEqual(["build", "", "//x", "", ...flags()]);
    for (const args of [["exec"], ["exec", "--"], ["compat", "--reason", "why", "--"], ["explain"], [""]]) {
      const run = await stage.flywheel(args);
      expect(run.exitCode, run.stderr).toBe(2);
      expect(run.stderr).toMatch(/^flywheel: /);
    }
    // The guard's own entry point fails closed.
    for (const args of [["guard"], ["guard", "--tool"], ["guard", "--tool", "bazel"]])
      expect((await stage.flywheel(args)).exitCode).not.toBe(0);
  });

  const many = Array.from({ length: 30_000 }, (_, index) => `//package/${index}:target`);
  test.each([
    ["on the fast path", ["build", ...many], 30_001],
    ["on the slow path", ["build", "--remote_accept_cached", ...many], 30_002],
    ["behind --", ["build", "--", ...many], 1],
    ["before --", ["build", ...many, "--", "//x"], 1],
  ] as const)("30,000 arguments %s: all arrive, in order", async (_, args, at) => {
    // `bazel` here fails where it takes longer than 10 s: moving arguments in sh is easily quadratic.
    const run = await bazel(stage, args);
    expect(run.exitCode, run.stderr.slice(0, 400)).toBe(0);
    expect(tool.words()).toEqual([...args].toSpliced(at, 0, ...flags()));
  });

  test("30,000 arguments before --, and a --config that would come behind the flags: refused", async () => {
    expectRefused(
      await bazel(stage, ["build", ...many, "--config=ci", "--", "//x"]),
      tool,
      /arguments stand before -- together with --config=ci/,
    );
  });

  test("30,000 arguments, refused or through flywheel exec", async () => {
    const started = performance.now();
    const exec = await stage.flywheel(["exec", "--", "bazel", "build", ...many]);
    expect(exec.exitCode, exec.stderr.slice(0, 400)).toBe(0);
    expect(performance.now() - started).toBeLessThan(longestHang);
    expect(tool.words()).toEqual(["build", ...many, ...flags()]);
    tool.forget();
    const refused = await bazel(stage, ["build", "--remote_cache=", ...many]);
    expectRefused(refused, tool, /remote_cache/);
    expect(refused.stderr.length).toBeLessThan(2000);
  });
});

/** Nothing that a terminal would act on: of the controls only line feeds. */
function expectPlain(text: string): void {
  expect(JSON.stringify(text.replaceAll("\n", "").match(/[\p{Cc}\u202a-\u202e\u2066-\u2069].{0,40}/u))).toBe("null");
}

describe("strings that would command a terminal", () => {
  const evil = "\u001b]0;owned\u0007\u001b[31mred\u009b2J\u202eright\r\n\u0008";

  test("from the tailnet: never shown, logged or published raw", async () => {
    await stage.tailnet({
      name: `${evil}tailnet`,
      suffix: "tail0ffee.ts.net",
      health: [`${evil}health`],
      nodes: [
        { name: `bazel-cache${evil}`, addresses: ["127.0.0.1"], tags: ["tag:bazel-cache"] },
        { name: `${evil}cache`, addresses: ["127.0.0.1"], id: `id${evil}` },
      ],
      services: { [`svc:${evil}`]: { addresses: ["127.0.0.1"], ports: ["tcp:1"] } },
    });
    await stage.flywheel(["up"]);
    await statusWhen(stage, "the hostile tailnet", (status) => status.tailnet.name?.endsWith("tailnet") === true);
    await expectPlainEverywhere();
    expect((await stage.flywheel(["trust", "tailnet", "--yes"])).exitCode).toBe(0);
    await statusWhen(stage, "its nodes", ({ rejections }) => rejections.some((one) => one.subject.includes("cache")));
    await expectPlainEverywhere();
    await stage.tailnet(tailnet);
  });

  test("from a cache: never shown, logged or published raw", async () => {
    const server = new Server();
    const path = "/build.bazel.remote.execution.v2.Capabilities/GetCapabilities";
    const nothing = () => Buffer.alloc(0);
    const codecs = { requestSerialize: nothing, requestDeserialize: nothing, responseSerialize: nothing, responseDeserialize: nothing };
    server.addService(
      { GetCapabilities: { path, requestStream: false, responseStream: false, ...codecs } },
      { GetCapabilities: (_: unknown, callback: (error: object) => void) => callback({ code: 7, details: `go away ${evil}` }) },
    );
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => (error === null ? resolve(port) : reject(error)));
    const port = await promise;
    try {
      await stage.tailnet({});
      const attach = await stage.flywheel(["attach", `grpc://127.0.0.1:${port}`]);
      expect(attach.exitCode).toBe(1);
      expect(attach.stdout).toContain("go away");
      expectPlain(attach.stdout);
      await expectPlainEverywhere();
    } finally {
      server.forceShutdown();
      await stage.tailnet(tailnet);
      await stage.flywheel(["detach"]);
      await stage.flywheel(["up"]);
    }
  });

  async function expectPlainEverywhere(): Promise<void> {
    const refused = await bazel(stage, ["build", "//x"]);
    expect(refused.exitCode).toBe(78);
    expectPlain(refused.stderr);
    for (const args of [
      ["status"],
      ["status", "--json"],
      ["up"],
      ["env"],
      ["logs"],
      ["history"],
      ["trust", "tailnet"],
      ["explain", "--", "bazel", "build", "//x"],
    ]) {
      const run = await stage.flywheel(args);
      expectPlain(run.stdout);
      expectPlain(run.stderr);
      expect(run.stdout).not.toMatch(/\\u001b|\\u009b|\\u0007/);
    }
    for (const file of ["run/attachment/default/bazel", "state/daemon.log", "state/journal/spool.jsonl"]) {
      const text = readFileSync(join(stage.dir, file), "utf8");
      expectPlain(text);
      expect(text).not.toMatch(/\\u001b|\\u0007/);
    }
    const report = JSON.parse((await stage.flywheel(["status", "--json"])).stdout) as StatusReport;
    expectPlain(JSON.stringify(report));
  }
});
