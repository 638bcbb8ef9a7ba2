/** The slow path's decision, from real files and a stated attachment; with a real daemon it is tried in test/e2e. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ProbeReport } from "../../contract/api.ts";
import { silentEventFlags } from "../../contract/bazel/injection.ts";
import type { CredentialEntry } from "../../contract/credential.ts";
import { type Endpoint, parseEndpoint } from "../../contract/endpoint.ts";
import { localProofNext } from "../../contract/local-proof.ts";
import { pathsFrom } from "../../contract/paths.ts";
import type { AttachmentSource, Standing } from "../../shim/attachment.ts";
import { type Decision, decide } from "../../shim/decide.ts";
import { refusalText } from "../../shim/refusal.ts";
import { findWorkspace, rememberVerdict } from "../../shim/scope.ts";
import { surroundings } from "../../shim/world.ts";
import { script } from "./house.ts";

let root: string;
let work: string;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "gf-decide-")));
  work = join(root, "work");
  mkdirSync(work);
  mkdirSync(join(root, "config"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function endpoint(url: string): Endpoint {
  const parsed = parseEndpoint(url, "bazel");
  if (!parsed.ok) throw new Error(parsed.message);
  return parsed.endpoint;
}

const attached = (changes: { localProof?: boolean; upload?: boolean } = {}): Standing => ({
  state: "attached",
  cache: {
    endpoint: endpoint("grpc://100.64.0.5:9092"),
    aliases: [endpoint("grpc://cache.ts.net:9092")],
    upload: changes.upload ?? false,
    instanceName: undefined,
  },
  localProof: changes.localProof ?? false,
});
const unattached: Standing = {
  state: "unattached",
  reason: "no node carries tag:bazel-cache",
  since: "the last proof was made 3 min ago",
  tried: ["grpc://100.64.0.9:9092 (peer old): connect: refused"],
  next: "flywheel doctor",
};

interface Setting {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly standing?: Standing;
  readonly proof?: ProbeReport;
  /** Of a probe that sends a credential. */
  readonly proofWith?: ProbeReport;
  readonly cwd?: string;
}

async function decided(setting: Setting): Promise<{ decision: Decision; proved: string[] }> {
  const env = {
    GF_GUARD_SCOPE: "all",
    GF_CONFIG_DIR: join(root, "config"),
    GF_STATE_DIR: join(root, "state"),
    PWD: setting.cwd ?? work,
    ...setting.env,
  };
  const invocation = { tool: "bazel", args: setting.args ?? ["build", "//..."], env, cwd: setting.cwd ?? work };
  const proved: string[] = [];
  const attachments: AttachmentSource = {
    current: async () => setting.standing ?? attached(),
    prove: async (_, { url }, _localProof, credential) => {
      proved.push(url);
      return (credential === undefined ? setting.proof : setting.proofWith) ?? { ok: true, endpoint: url, latencyMs: 3 };
    },
  };
  return { decision: await decide(invocation, { ...surroundings(invocation, "look"), attachments }), proved };
}

const manifest = (value: unknown): void =>
  writeFileSync(join(work, "tinyland.repo.json"), typeof value === "string" ? value : JSON.stringify(value));
const config = (text: string): void => writeFileSync(join(root, "config/config.toml"), text);
const trustFile = (file: string): void => {
  const sha256 = createHash("sha256").update(readFileSync(file)).digest("hex");
  writeFileSync(join(root, "config/trust.json"), JSON.stringify({ v: 1, tailnets: [], files: [{ path: file, sha256, at: "" }], keys: [] }));
};
const flags = (upload: boolean, url = "grpc://100.64.0.5:9092"): string[] => [
  `--remote_cache=${url}`,
  "--remote_accept_cached",
  `--remote_upload_local_results=${upload}`,
  "--remote_executor=",
  ...(upload ? [] : silentEventFlags),
];

describe("scope and manifest", () => {
  it.each([
    ["no manifest", undefined, "enrolled", "run"],
    ["no manifest, every workspace in scope", undefined, "all", "inject"],
    ["a manifest without enrollment", {}, "enrolled", "run"],
    ["an enrollment without a mode", { enrollment: {} }, "enrolled", "inject"],
    ["shared-cache-backed", { enrollment: { substrateMode: "shared-cache-backed" } }, "enrolled", "inject"],
    ["compatibility-local-only", { enrollment: { substrateMode: "compatibility-local-only" } }, "all", "run"],
    ["executor-backed", { enrollment: { substrateMode: "executor-backed" } }, "enrolled", "refuse"],
    ["a mode of its own", { enrollment: { substrateMode: "fast" } }, "enrolled", "refuse"],
    ["no JSON", "{", "enrolled", "refuse"],
  ])("%s", async (_, value, scope, kind) => {
    if (value !== undefined) manifest(value);
    expect((await decided({ env: { GF_GUARD_SCOPE: scope } })).decision.kind).toBe(kind);
  });

  it("says that a workspace builds alone because it declares so", async () => {
    manifest({ enrollment: { substrateMode: "compatibility-local-only" } });
    expect((await decided({ standing: unattached })).decision).toMatchObject({
      kind: "run",
      notice: expect.stringContaining("compatibility-local-only"),
    });
  });

  it("enrols what the configuration lists, below it too, and nothing beside it", async () => {
    config(`[guard]\nworkspaces = ["${work}"]\n`);
    const below = join(work, "pkg");
    mkdirSync(below);
    const env = { GF_GUARD_SCOPE: "" };
    expect((await decided({ env, cwd: below })).decision.kind).toBe("inject");
    expect((await decided({ env, cwd: root })).decision.kind).toBe("run");
  });

  it("refuses while the configuration is broken, naming file, line and what was expected", async () => {
    config('[guard]\nscope = "everything"\n');
    expect((await decided({})).decision).toMatchObject({
      kind: "refuse",
      reason: expect.stringMatching(/config\.toml:2: guard\.scope: expected "enrolled" or "all"/),
    });
  });

  it("leaves a verdict only for what the fast path may repeat", async () => {
    const paths = pathsFrom({ GF_STATE_DIR: join(root, "state"), GF_CONFIG_DIR: join(root, "config") }, root);
    const file = join(root, `state/workspace${work}/.verdict`);
    const old = new Date(Date.now() - 60_000);
    const judge = (value: unknown): string | undefined => {
      manifest(value);
      utimesSync(join(work, "tinyland.repo.json"), old, old);
      rmSync(file, { force: true });
      const invocation = {
        tool: "bazel",
        args: [],
        env: { GF_STATE_DIR: join(root, "state"), GF_CONFIG_DIR: join(root, "config") },
        cwd: work,
      };
      const { config, begun, configFile } = surroundings(invocation, "look");
      rememberVerdict(paths, findWorkspace(work, work), config(), { begun, configFile, envFile: false });
      try {
        return readFileSync(file, "utf8");
      } catch {
        return undefined;
      }
    };
    expect(judge({})).toBe(`unenrolled manifest\n${work}\n`);
    expect(judge({ enrollment: {} })).toBe(`enrolled manifest\n${work}\n`);
    config(`[[repositories]]\nforge_scope = "gitlab.lab.example/physics"\nprofile = "lab"\n`);
    utimesSync(join(root, "config/config.toml"), old, old);
    expect(judge({ enrollment: { forgeScope: "gitlab.lab.example/physics" } })).toBe(`enrolled manifest+config profile=lab\n${work}\n`);
    expect(judge({ enrollment: { forgeScope: "another" } })).toBe(`enrolled manifest+config\n${work}\n`);
    rmSync(join(root, "config/config.toml"));
    expect(judge({ enrollment: { substrateMode: "compatibility-local-only" } })).toBeUndefined();
    expect(judge({ enrollment: { substrateMode: "executor-backed" } })).toBeUndefined();
    expect(judge("{")).toBeUndefined();
    manifest({});
    rememberVerdict(
      paths,
      findWorkspace(work, work),
      surroundings({ tool: "", args: [], env: { GF_CONFIG_DIR: join(root, "config") }, cwd: work }, "look").config(),
      { begun: Date.now(), configFile: false, envFile: false },
    );
    expect(() => readFileSync(file)).toThrow();
  });
});

describe("the profile", () => {
  const rule = (): void => {
    config(`[[repositories]]\npath = "${work}"\nprofile = "lab"\n`);
    mkdirSync(join(root, "config/profiles"));
    writeFileSync(join(root, "config/profiles/lab.toml"), '[bazel]\ninstance_name = "physics"\n');
  };
  const flagsOf = async (setting: Setting): Promise<readonly string[]> => {
    const { decision } = await decided(setting);
    return decision.kind === "inject" ? decision.flags : [decision.kind];
  };

  it("is the repository's, unless GF_PROFILE names another", async () => {
    rule();
    expect(await flagsOf({})).toContain("--remote_instance_name=physics");
    expect(await flagsOf({ env: { GF_PROFILE: "default" } })).not.toContain("--remote_instance_name=physics");
    expect(await flagsOf({ env: { GF_PROFILE: "" } })).toContain("--remote_instance_name=physics");
    expect(await flagsOf({ cwd: root })).not.toContain("--remote_instance_name=physics");
  });

  it("that a rule names and nobody wrote refuses, and says which file", async () => {
    config(`[[repositories]]\npath = "${work}"\nprofile = "lab"\n`);
    expect((await decided({})).decision).toMatchObject({ kind: "refuse", reason: "there is no profile named lab" });
  });
});

describe("what is attached", () => {
  it("injects, with uploads off unless policy says otherwise", async () => {
    expect((await decided({})).decision).toMatchObject({ kind: "inject", at: 2, flags: flags(false) });
    expect((await decided({ standing: attached({ upload: true }) })).decision).toMatchObject({ flags: flags(true) });
    expect((await decided({ env: { GF_BAZEL_REMOTE_UPLOAD: "yes" } })).decision).toMatchObject({ flags: flags(true) });
    expect((await decided({ standing: attached({ upload: true }), env: { GF_BAZEL_REMOTE_UPLOAD: "0" } })).decision).toMatchObject({
      flags: flags(false),
    });
    expect((await decided({ env: { GF_BAZEL_REMOTE_UPLOAD: "true", GF_BAZEL_CACHE_ROLE: "read-only" } })).decision).toMatchObject({
      flags: flags(false),
    });
    expect((await decided({ env: { GF_BAZEL_REMOTE_UPLOAD: "perhaps" } })).decision.kind).toBe("refuse");
  });

  it("refuses without one, with what was tried and what to do", async () => {
    const { decision } = await decided({ standing: unattached });
    expect(decision).toMatchObject({
      kind: "refuse",
      reason: "no shared cache is attached: no node carries tag:bazel-cache",
      tried: [expect.stringContaining("100.64.0.9")],
    });
    if (decision.kind !== "refuse") throw new Error("not refused");
    const text = refusalText(decision, { tool: "bazel", args: ["build", "//..."], env: {}, cwd: work });
    expect(text.split("\n")[0]).toBe("flywheel: refused bazel build: no shared cache is attached: no node carries tag:bazel-cache");
    expect(text).toContain("\n  since: the last proof was made 3 min ago\n");
    expect(text).toContain("  next: flywheel doctor\n");
    expect(text).toContain('flywheel compat --reason "…" -- bazel build //...');
    expect(refusalText(decision, { tool: "bazel", args: ["build", "--tool_tag=ijwb"], env: {}, cwd: work }).split("\n").length).toBe(2);
  });

  it("offers a line that builds the same when it is pasted, or none that could be", async () => {
    const { decision } = await decided({ standing: unattached });
    if (decision.kind !== "refuse") throw new Error("not refused");
    const offered = (args: readonly string[]): string => {
      const text = refusalText(decision, { tool: "bazel", args, env: {}, cwd: work });
      return / -- (.*) {3}\(builds alone/.exec(text)?.[1] ?? "";
    };
    const args = ["--output_base=/tmp/a b", "build", "--define=x=$(id)", "it's", "", "//a:*", "-//b", "//c", "//d"];
    const pasted = execFileSync("/bin/sh", ["-c", offered(args).replace(/^bazel/, "printf '%s\\0'")], { encoding: "utf8" });
    expect(pasted.split("\0").slice(0, -1)).toEqual(args);
    for (const odd of [
      ["build", ...Array.from({ length: 100 }, (_, at) => `//target:${at}`)],
      ["build", "//a\u001b[2J"],
    ]) {
      expect(offered(odd)).toBe("bazel build (the same words)");
    }
  });

  it("suggests the user's own words, without those of the recorder above it", async () => {
    const { decision } = await decided({ standing: unattached });
    if (decision.kind !== "refuse") throw new Error("not refused");
    const id = "0f8fad5b-d9cb-469f-a165-70867728950e";
    const shown = (tool: string, args: readonly string[], env: Readonly<Record<string, string>>): string | undefined =>
      / -- (.*?) {3}/.exec(refusalText(decision, { tool, args, env, cwd: work }))?.[1];
    const ours = `--build_event_json_file=/tmp/flywheel-record-${id}/events.json`;
    expect(shown("bazel", ["build", ours, "//:t"], { GF_RECORD: id })).toBe("bazel build //:t");
    // Words that nobody added are the user's.
    expect(shown("bazel", ["build", ours, "//:t"], {})).toBe(`bazel build ${ours} //:t`);
    const mine = "--build_event_json_file=/tmp/mine.json";
    expect(shown("bazel", ["build", mine, "//:t"], { GF_RECORD: id })).toBe(`bazel build ${mine} //:t`);
    expect(shown("nix-build", ["--log-format", "internal-json", "-A", "x"], { GF_RECORD: id })).toBe("nix-build -A x");
    expect(shown("nix-build", ["-A", "x", "--log-format", "raw"], { GF_RECORD: id })).toBe("nix-build -A x --log-format raw");
  });

  it("passes what executes nothing, attached or not", async () => {
    for (const args of [["query", "//..."], ["build", "--nobuild", "//..."], ["info"], []]) {
      expect((await decided({ args, standing: unattached })).decision.kind).toBe("run");
    }
  });

  it("gives a local proof only to who asked for one", async () => {
    const standing = attached({ localProof: true });
    expect((await decided({ standing })).decision).toMatchObject({ kind: "refuse", next: [localProofNext] });
    const own = await decided({ env: { BAZEL_REMOTE_CACHE: "grpc://127.0.0.1:9092" }, standing: unattached });
    expect(own.decision).toMatchObject({ kind: "refuse", next: [localProofNext] });
    const markers = { GF_BAZEL_LOCAL_PROOF: "port-forward", GF_BAZEL_ALLOW_LOCALHOST_PROOF: "true" };
    expect((await decided({ standing, env: markers })).decision.kind).toBe("inject");
    expect((await decided({ standing, env: { GF_BAZEL_LOCAL_PROOF: "port-forward" } })).decision.kind).toBe("refuse");
    config('[local_proof]\nmode = "port-forward"\nallow_localhost = true\n');
    expect((await decided({ standing })).decision.kind).toBe("inject");
  });
});

describe("options that would detach", () => {
  it.each([
    ["--remote_cache=grpc://100.64.0.5:9092", "inject"],
    ["--remote_cache=grpc://cache.ts.net:9092", "inject"],
    ["--remote_cache=GRPC://CACHE.ts.net:9092/", "inject"],
    ["--remote_cache=", "refuse"],
    ["--remote_cache=grpc://other:9092", "refuse"],
    ["--remote_cache=$(id)", "refuse"],
    ["--noremote_accept_cached", "refuse"],
    ["--remote_accept_cached=no", "refuse"],
    ["--remote_accept_cached=1", "inject"],
    ["--remote_upload_local_results=true", "inject"],
    ["--remote_executor=grpc://x:1", "refuse"],
    ["--remote_executor=", "inject"],
    ["--remote_proxy=unix:/x", "refuse"],
    ["--remote_instance_name=other", "refuse"],
  ])("%s → %s", async (option, kind) => {
    const { decision } = await decided({ args: ["build", option, "//..."] });
    expect(decision.kind).toBe(kind);
    if (decision.kind === "inject") expect(decision.flags).toEqual(flags(false));
  });

  it("takes an instance name from the environment, if it is one", async () => {
    expect((await decided({ env: { BAZEL_REMOTE_INSTANCE_NAME: "spoke-a" } })).decision).toMatchObject({
      flags: [...flags(false), "--remote_instance_name=spoke-a"],
    });
    expect((await decided({ env: { BAZEL_REMOTE_INSTANCE_NAME: "a b" } })).decision.kind).toBe("refuse");
    expect((await decided({ env: { BAZEL_REMOTE_INSTANCE_NAME: "a" }, args: ["build", "--remote_instance_name=a"] })).decision.kind).toBe(
      "inject",
    );
  });
});

describe("the operator's word in the environment", () => {
  it("is fine where it names the attached endpoint", async () => {
    expect((await decided({ env: { BAZEL_REMOTE_CACHE: "grpc://cache.ts.net:9092" } })).proved).toEqual([]);
  });

  it("is proved where it names another, and then used", async () => {
    const { decision, proved } = await decided({ env: { BAZEL_REMOTE_CACHE: "grpc://mine:1" }, standing: unattached });
    expect(proved).toEqual(["grpc://mine:1"]);
    expect(decision).toMatchObject({ kind: "inject", flags: flags(false, "grpc://mine:1") });
  });

  const failed: ProbeReport = { ok: false, endpoint: "grpc://mine:1", rung: "connect", reason: "nothing listens", next: null };
  it("gives way, and says so, where it fails and something is attached", async () => {
    const { decision } = await decided({ env: { BAZEL_REMOTE_CACHE: "grpc://mine:1" }, proof: failed });
    expect(decision).toMatchObject({
      kind: "inject",
      flags: flags(false),
      notice: expect.stringContaining("fails at connect: nothing listens"),
    });
  });

  it("is not what a shell hook exported: that follows the attachment", async () => {
    const exported = { BAZEL_REMOTE_CACHE: "grpc://gone:1", GF_SHELL_ATTACHED: "grpc://gone:1" };
    const { decision, proved } = await decided({ env: exported });
    expect([decision.kind, proved]).toEqual(["inject", []]);
    expect(decision).not.toHaveProperty("notice");
    expect((await decided({ env: exported, standing: unattached })).decision).toMatchObject({
      kind: "refuse",
      reason: expect.stringMatching(/^no shared cache is attached/),
    });
    const other = { ...exported, GF_SHELL_ATTACHED: "grpc://before:1" };
    expect((await decided({ env: other })).proved).toEqual(["grpc://gone:1"]);
  });

  it("is refused where it fails and nothing is", async () => {
    const { decision } = await decided({ env: { BAZEL_REMOTE_CACHE: "grpc://mine:1" }, proof: failed, standing: unattached });
    expect(decision).toMatchObject({
      kind: "refuse",
      reason: expect.stringContaining("BAZEL_REMOTE_CACHE names grpc://<redacted>:1, which fails at connect"),
    });
  });

  it.each([
    "grpc://${HOST}:9092",
    "grpc://$HOST:9092",
    "grpc://",
    "grpc://u:p@host:1",
    "grpc://127.0.0.2:1",
    "grpc://LOCALHOST:1",
    "grpc://[::1]:1",
    "grpc://bazel-cache.attic-cache-dev.svc.cluster.local:9092",
    "ftp://x",
    "grpc://a b",
    "grpc://a'b:1",
    'grpc://a"b:1',
    "grpc://a\nb:1",
    "grpc://$(touch x):1",
    `grpc://${"a".repeat(10_000)}:1`,
  ])("is refused unproved where it breaks a rule: %j", async (cache) => {
    const { decision, proved } = await decided({ env: { BAZEL_REMOTE_CACHE: cache } });
    expect(decision).toMatchObject({ kind: "refuse", reason: expect.stringContaining("BAZEL_REMOTE_CACHE") });
    expect(proved).toEqual([]);
    if (decision.kind === "refuse") expect(decision.reason.length).toBeLessThan(400);
  });

  it.each([
    { BAZEL_REMOTE_EXECUTOR: "grpc://x:1" },
    { GF_BAZEL_SUBSTRATE_MODE: "executor-backed" },
    { GF_FLYWHEEL_PROFILE_STATE: "executor-backed" },
  ])("never passes a shared cache off as remote execution: %j", async (env) => {
    expect((await decided({ env })).decision).toMatchObject({
      kind: "refuse",
      reason: expect.stringContaining("a shared cache is not remote execution"),
    });
  });

  it("is not taken from a stale shell's word that nothing is attached", async () => {
    const env = { GF_BAZEL_SUBSTRATE_MODE: "compatibility-local-only", GF_FLYWHEEL_PROFILE_STATE: "unattached" };
    expect((await decided({ env })).decision.kind).toBe("inject");
    expect((await decided({ env, standing: unattached })).decision.kind).toBe("refuse");
  });
});

describe("a repository's .env.flywheel.local", () => {
  const write = (text: string): string => {
    const file = join(work, ".env.flywheel.local");
    writeFileSync(file, text);
    return file;
  };

  it("counts for nothing until it is trusted, and is pointed out", async () => {
    write("export BAZEL_REMOTE_CACHE=grpc://evil:1\n");
    manifest({});
    const { decision, proved } = await decided({ standing: unattached });
    expect(proved).toEqual([]);
    expect(decision).toMatchObject({ kind: "refuse", next: expect.arrayContaining([expect.stringContaining("flywheel trust file")]) });
  });

  it("is proved once trusted, and no longer when it changed", async () => {
    manifest({});
    trustFile(write("export BAZEL_REMOTE_CACHE=grpc://mine:1\n"));
    expect((await decided({ standing: unattached })).proved).toEqual(["grpc://mine:1"]);
    write("export BAZEL_REMOTE_CACHE=grpc://evil:1\n");
    expect((await decided({ standing: unattached })).proved).toEqual([]);
  });

  it("is not sourced", async () => {
    manifest({});
    trustFile(write("export BAZEL_REMOTE_CACHE=$(touch pwned)\n"));
    expect((await decided({})).decision).toMatchObject({ kind: "refuse", reason: expect.stringContaining("line 1") });
    expect(() => readFileSync(join(work, "pwned"))).toThrow();
  });

  it("yields to the environment", async () => {
    manifest({});
    trustFile(write("export BAZEL_REMOTE_CACHE=grpc://mine:1\n"));
    expect((await decided({ env: { BAZEL_REMOTE_CACHE: "grpc://100.64.0.5:9092" } })).proved).toEqual([]);
  });
});

describe("the escape", () => {
  it("lets a heavy command through with its reason, wherever, even past a broken configuration", async () => {
    config("nonsense");
    const { decision } = await decided({ env: { GF_GUARD_BYPASS: " train\u001b[31m " }, standing: unattached });
    expect(decision).toEqual({ kind: "escape", command: "build", reason: "train" });
  });

  it("needs a reason", async () => {
    expect((await decided({ env: { GF_GUARD_BYPASS: " " } })).decision).toMatchObject({
      kind: "refuse",
      reason: expect.stringContaining("needs a reason"),
    });
  });

  it("is not spent on a light command", async () => {
    expect((await decided({ args: ["info"], env: { GF_GUARD_BYPASS: "x" } })).decision.kind).toBe("run");
  });
});

it("a configuration that cannot be read is refused with its line, and with what looks at all of them", async () => {
  config("garbage\n");
  for (const tool of ["bazel", "nix"]) {
    const invocation = { tool, args: ["build", "//x"], env: { GF_GUARD_SCOPE: "all", GF_CONFIG_DIR: join(root, "config") }, cwd: work };
    expect(await decide(invocation, surroundings(invocation, "look"))).toMatchObject({
      kind: "refuse",
      reason: expect.stringContaining("config.toml:1: "),
      next: [`mend line 1 of ${root}/config/config.toml`, "flywheel doctor"],
    });
  }
});

describe("credentials", () => {
  const login = (changes: Partial<CredentialEntry> = {}): void => {
    const how = { scheme: "bearer", store: "file" } as const;
    const base = {
      profile: "default",
      kind: "bazel",
      endpoint: "grpc://cache.ts.net:9092",
      how,
      generation: "ab".repeat(16),
      at: "",
    } as const;
    mkdirSync(join(root, "state"), { recursive: true });
    const entries = [{ ...base, expires: null, legacyHeader: false, ...changes }];
    writeFileSync(join(root, "state/credentials.json"), JSON.stringify({ v: 1, store: null, entries }));
  };
  /** A Bazel that says which it is, since none of these is here. */
  const bazelThatSays = (version: string): Record<string, string> => {
    script(join(root, "bazel"), `echo "bazel ${version}"`);
    return { GF_REAL_BAZEL: join(root, "bazel"), PATH: "/usr/bin:/bin", GF_RUNTIME_DIR: join(root, "run") };
  };
  const bare = flags(false);

  it("takes nobody else's place where Bazel's option cannot name the host", async () => {
    const url = "http://[fd7a:115c:a1e0::5]:8080";
    login({ endpoint: url });
    const cache = { endpoint: endpoint(url), aliases: [], upload: false, instanceName: undefined };
    const standing: Standing = { state: "attached", cache, localProof: false };
    const env = bazelThatSays("7.4.1");
    const alone = await decided({ env, standing });
    expect(alone.decision).toMatchObject({ kind: "inject" });
    const beside = await decided({ env: { ...env, BAZEL_CREDENTIAL_HELPER: "/own/helper" }, standing });
    expect(beside.decision).toMatchObject({ kind: "refuse", next: [expect.stringContaining("BAZEL_CREDENTIAL_HELPER")] });
    const scoped = await decided({ env: { ...env, BAZEL_CREDENTIAL_HELPER: "archives.example=/own/helper" }, standing });
    expect(scoped.decision).toMatchObject({ kind: "inject" });
  });

  it("asks for the version only where somebody is logged in to the attached cache", async () => {
    script(join(root, "bazel"), `touch ${join(root, "asked")}`);
    const env = { GF_REAL_BAZEL: join(root, "bazel"), PATH: "/usr/bin:/bin" };
    login({ endpoint: "grpc://other.ts.net:9092" });
    expect((await decided({ env })).decision).toMatchObject({ kind: "inject", flags: bare, startup: [] });
    login({ profile: "lab" });
    expect((await decided({ env })).decision).toMatchObject({ kind: "inject", flags: bare, startup: [] });
    expect(existsSync(join(root, "asked"))).toBe(false);
    login();
    expect((await decided({ env })).decision.kind).toBe("refuse");
    expect(existsSync(join(root, "asked"))).toBe(true);
  });

  it("gives Bazel 6.3 and newer the helper, for the endpoint that the flags name and by an alias's login", async () => {
    login();
    const { decision } = await decided({ env: bazelThatSays("7.4.1") });
    const helper = expect.stringMatching(/^--credential_helper=100\.64\.0\.5=\/.*\/dist\/bin\/flywheel-credential-helper$/);
    expect(decision).toMatchObject({ kind: "inject", flags: [...bare, helper], startup: [] });
  });

  it("gives an older one an rc file only where the login allowed it", async () => {
    login();
    expect((await decided({ env: bazelThatSays("5.0.0") })).decision).toMatchObject({
      kind: "refuse",
      reason: expect.stringContaining("Bazel 5.0.0 takes a credential only as a header"),
      next: [expect.stringContaining("flywheel login grpc://cache.ts.net:9092 --allow-legacy-header")],
    });
    login({ legacyHeader: true });
    const { decision } = await decided({ env: bazelThatSays("5.0.0") });
    const name = createHash("sha256").update("grpc://100.64.0.5:9092").digest("hex").slice(0, 16);
    expect(decision).toMatchObject({
      kind: "inject",
      // Every option is told to a build event service, the header too.
      flags: [...bare, "--bes_backend="],
      startup: [`--bazelrc=${root}/run/credentials/${"ab".repeat(16)}-${name}/bazelrc`],
    });
  });

  it.each([["--bes_backend=grpcs://events.example"], ["--bes_backend", "grpcs://events.example"]])(
    "refuses an older one that would tell it to a build event service: %s",
    async (...words) => {
      login({ legacyHeader: true });
      const args = ["build", ...words, "//x"];
      expect((await decided({ env: bazelThatSays("5.0.0"), args })).decision).toMatchObject({
        kind: "refuse",
        reason: expect.stringContaining("--bes_backend"),
      });
      expect((await decided({ env: bazelThatSays("7.4.1"), args })).decision.kind).toBe("inject");
      const other = ["run", "//x", "--bes_backend=", "--", "--bes_backend=its-own"];
      expect((await decided({ env: bazelThatSays("5.0.0"), args: other })).decision.kind).toBe("inject");
    },
  );

  it("makes nothing of it where it only explains", async () => {
    login({ legacyHeader: true });
    const args = ["--bazelrc=/mine.rc", "build", "//x"];
    const { decision } = await decided({ env: bazelThatSays("4.0.0"), args });
    expect(decision).toMatchObject({
      kind: "inject",
      startup: [expect.stringMatching(/^--bazelrc=.*\/run\/bazelrc\/[0-9a-f]{32}$/), "--bazelrc=/dev/null"],
    });
    expect(existsSync(join(root, "run"))).toBe(false);
  });

  it.each(["4.2.3", "7.4.1"])("refuses with one that has expired, and says what to type: Bazel %s", async (version) => {
    login({ expires: "2020-01-01T00:00:00Z", legacyHeader: true });
    expect((await decided({ env: bazelThatSays(version) })).decision).toMatchObject({
      kind: "refuse",
      reason: expect.stringContaining("expired at 2020-01-01"),
      next: ["flywheel login grpc://cache.ts.net:9092 --allow-legacy-header"],
    });
  });

  it("refuses where nobody can tell who is logged in to what", async () => {
    login();
    writeFileSync(join(root, "state/credentials.json"), "{");
    expect((await decided({})).decision).toMatchObject({
      kind: "refuse",
      reason: expect.stringContaining("credentials.json cannot be used"),
    });
  });

  it.each([
    ["7.4.1", ["--credential_helper=*.example.org=/h", "--credential_helper=/all"], ""],
    ["4.2.3", [], "only Bazel 6.3 and newer take BAZEL_CREDENTIAL_HELPER"],
  ] as const)("passes BAZEL_CREDENTIAL_HELPER to a Bazel that takes it: %s", async (version, more, why) => {
    const env = { ...bazelThatSays(version), BAZEL_CREDENTIAL_HELPER: "*.example.org=/h\n/all" };
    expect((await decided({ env })).decision).toMatchObject({
      kind: "inject",
      flags: [...bare, ...more],
      why: expect.stringContaining(why),
    });
    const odd = { ...env, BAZEL_CREDENTIAL_HELPER: "/h --remote_cache=grpc://evil:1" };
    expect((await decided({ env: odd })).decision).toMatchObject({ flags: bare, why: expect.stringContaining("is left out") });
  });

  describe("of a cache that asks, for which BAZEL_CREDENTIAL_HELPER has it", () => {
    const url = "grpcs://cache.example.org:443";
    const asks: ProbeReport = {
      ok: false,
      endpoint: url,
      rung: "authority",
      reason: "it asks",
      next: "flywheel login",
      over: "credential",
    };
    const asked = async (helpers: string, more: { version?: string; proof?: ProbeReport; standing?: Standing } = {}) => {
      const env = { ...bazelThatSays(more.version ?? "7.4.1"), BAZEL_REMOTE_CACHE: url, BAZEL_CREDENTIAL_HELPER: helpers };
      return (await decided({ env, standing: more.standing ?? unattached, proof: more.proof ?? asks })).decision;
    };

    it.each(["/h", "cache.example.org=/h", "*.example.org=/h"])("it is attached, and said to be unproved: %s", async (helpers) => {
      for (const standing of [unattached, attached()]) {
        expect(await asked(helpers, { standing })).toMatchObject({
          kind: "inject",
          flags: [...flags(false, url), `--credential_helper=${helpers}`],
          notice: expect.stringMatching(/asks for a credential: the operator's own BAZEL_CREDENTIAL_HELPER has it, not proved before/),
        });
      }
    });

    it("one for another host, an odd one, an old Bazel or another fault change nothing", async () => {
      const refused = { kind: "refuse", reason: expect.stringContaining("fails at "), next: ["flywheel login"] };
      for (const helpers of ["other.example.org=/h", "/h --x", "h", ""]) expect(await asked(helpers)).toMatchObject(refused);
      expect(await asked("/h", { version: "4.2.3" })).toMatchObject(refused);
      const { over: _, ...notOver } = asks;
      expect(await asked("/h", { proof: notOver })).toMatchObject(refused);
      expect(await asked("/h", { proof: { ...notOver, rung: "connect" } })).toMatchObject(refused);
    });

    it("a login to it goes before", async () => {
      login({ endpoint: url });
      expect(await asked("/h")).toMatchObject({ kind: "refuse" });
    });
  });

  describe("of a REAPI cell that BAZEL_REMOTE_CACHE names", () => {
    const url = "grpc://gf-reapi-cell.gf-rbe.svc:8980";
    const asks: ProbeReport = { ok: false, endpoint: url, rung: "authority", reason: "it asks for a credential", next: null };
    const env = (): Record<string, string> => ({
      ...bazelThatSays("7.4.1"),
      BAZEL_REMOTE_CACHE: url,
      GF_REAPI_CREDENTIAL_HELPER_TOKEN_FILE: tokenFile(),
    });
    const tokenFile = (): string => {
      writeFileSync(join(root, "token"), "t0ken\n");
      return join(root, "token");
    };
    const cell = (changes: Record<string, string> = {}, more: Partial<Setting> = {}) =>
      decided({ env: { ...env(), ...changes }, standing: unattached, ...more });

    it("the helper is named for it, with the token that the environment names", async () => {
      for (const proof of [{ ok: true, endpoint: url, latencyMs: 1 } as const, asks]) {
        const { decision } = await cell({}, { proof });
        expect(decision).toMatchObject({
          kind: "inject",
          flags: [...flags(false, url), expect.stringMatching(/^--credential_helper=gf-reapi-cell\.gf-rbe\.svc=\//)],
        });
      }
      expect((await cell({}, { proof: asks })).decision).toMatchObject({
        why: expect.stringContaining(`answered the token of ${tokenFile()}`),
      });
      const { decision } = await cell({ GF_REAPI_BAZEL_CREDENTIAL_HELPER: "/fleet/helper" });
      expect(decision).toMatchObject({ flags: expect.arrayContaining(["--credential_helper=gf-reapi-cell.gf-rbe.svc=/fleet/helper"]) });
    });

    it("a token that the cell refuses, or that is none, is told rather than tried; the fleet's own helper is not proved", async () => {
      const refuses: ProbeReport = { ...asks, reason: "it refuses the bearer token given" };
      expect((await cell({}, { proof: asks, proofWith: refuses })).decision).toMatchObject({
        kind: "refuse",
        reason: expect.stringContaining("fails at authority: it refuses the bearer token given"),
        next: [`renew ${tokenFile()}`],
      });
      for (const named of ["/nonexistent/token", ""].map((path) => ({ GF_REAPI_CREDENTIAL_HELPER_TOKEN_FILE: path }))) {
        expect((await cell(named, { proof: asks })).decision.kind).toBe("refuse");
      }
      const fleets = { GF_REAPI_BAZEL_CREDENTIAL_HELPER: "/fleet/helper" };
      expect((await cell(fleets, { proof: asks })).decision).toMatchObject({ notice: expect.stringContaining("not proved before") });
    });

    it("nothing is named for another host, without a token, or for a Bazel that knows no helper", async () => {
      const other = await cell({ BAZEL_REMOTE_CACHE: "grpc://100.64.0.7:8980" });
      expect(other.decision).toMatchObject({ kind: "inject", flags: flags(false, "grpc://100.64.0.7:8980") });
      expect((await cell({ GF_REAPI_CREDENTIAL_HELPER_TOKEN_FILE: "" }, { proof: asks })).decision.kind).toBe("refuse");
      const old = { env: { ...env(), ...bazelThatSays("4.2.3") }, standing: unattached };
      expect((await decided(old)).decision).toMatchObject({ flags: flags(false, url), why: expect.stringContaining("REAPI token") });
      const { decision: oldAndAsked } = await decided({ ...old, proof: asks });
      expect(oldAndAsked).toMatchObject({ kind: "refuse", reason: expect.stringContaining("only Bazel 6.3 and newer take one") });
      const { decision } = await cell({ GF_REAPI_CREDENTIAL_HELPER_TOKEN: "inline" });
      expect(decision).toMatchObject({ kind: "refuse", reason: expect.stringContaining("given twice") });
    });
  });
});
