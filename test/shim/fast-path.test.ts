/** The generated sh, under each shell that people have as sh. */
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { silentEventFlags } from "../../contract/bazel/injection.ts";
import { pathsFrom } from "../../contract/paths.ts";
import { rememberVerdict } from "../../shim/scope.ts";
import { surroundings } from "../../shim/world.ts";
import { alive, attachedFlags, buildHouse, type House, script, shells, words } from "./house.ts";

let house: House;
beforeEach(async () => {
  house = await buildHouse();
});
afterEach(() => house.remove());

const asked = (): boolean => {
  try {
    return readFileSync(join(house.root, "asked"), "utf8") !== "";
  } catch {
    return false;
  }
};

describe.each(shells)("under $name", ({ command: shell }) => {
  it("runs a light command untouched, without asking anyone", async () => {
    const outcome = await house.run(["info", "bazel-bin", ""], { shell });
    expect(words(outcome)).toEqual(["info", "bazel-bin", ""]);
    expect(outcome).toMatchObject({ code: 0, stderr: "" });
    expect(asked()).toBe(false);
  });

  it("attaches a heavy command at its end", async () => {
    house.publish();
    const outcome = await house.run(["--batch", "build", "-k", "//a:b", "a b\nc"], { shell });
    expect(words(outcome)).toEqual(["--batch", "build", "-k", "//a:b", "a b\nc", ...attachedFlags]);
    expect(outcome.stderr).toBe("");
    expect(asked()).toBe(false);
  });

  it("attaches before the dashes that end the options", async () => {
    house.publish();
    const outcome = await house.run(["run", "//x", "--", "--remote_cache=mine", "$(id)", "*"], { shell });
    expect(words(outcome)).toEqual(["run", "//x", ...attachedFlags, "--", "--remote_cache=mine", "$(id)", "*"]);
  });

  it("carries out the slow path's plan", async () => {
    house.remove();
    house = await buildHouse("flywheel-plan-1\ninject=2\n--remote_cache=grpc://h:1\n--x");
    const outcome = await house.run(["--batch", "build", "--", "//x"], { shell });
    expect(words(outcome)).toEqual(["--batch", "build", "--remote_cache=grpc://h:1", "--x", "--", "//x"]);
    expect(asked()).toBe(true);
  });

  it("puts a plan's startup options in front of every other word", async () => {
    house.remove();
    house = await buildHouse(
      "flywheel-plan-1\ninject=4\ncommand=build\nprofile=default\nstartup=--bazelrc=/run/g/bazelrc\nstartup=--bazelrc=/dev/null\n--x",
    );
    const outcome = await house.run(["--bazelrc", "a b", "build", "*", "--", "//x"], { shell });
    expect(words(outcome)).toEqual([
      "--bazelrc=/run/g/bazelrc",
      "--bazelrc=/dev/null",
      "--bazelrc",
      "a b",
      "build",
      "*",
      "--x",
      "--",
      "//x",
    ]);
    // Nothing of the kind comes from the environment.
    house.publish();
    const inherited = await house.run(["build", "//x"], { shell, env: { _gf_front: "--bazelrc=/evil" } });
    expect(words(inherited)).toEqual(["build", "//x", ...attachedFlags]);
  });

  it.each(["startup=--bazelrc=relative", "startup=--batch", "startup=--bazelrc=/a$(id)", "startup=--bazelrc=/a*"])(
    "fails closed on a plan with %s",
    async (line) => {
      house.remove();
      house = await buildHouse(`flywheel-plan-1\ninject=1\n${line}\n--x`);
      expect(await house.run(["build"], { shell })).toMatchObject({ code: 78 });
    },
  );

  it.each(["BAZEL_CREDENTIAL_HELPER", "GF_REAPI_CREDENTIAL_HELPER_TOKEN_FILE", "GF_REAPI_CREDENTIAL_HELPER_TOKEN"])(
    "leaves what %s says to the slow path",
    async (name) => {
      house.publish();
      await house.run(["build", "//x"], { shell, env: { [name]: "" } });
      expect(asked()).toBe(false);
      await house.run(["build", "//x"], { shell, env: { [name]: "/x" } });
      expect(asked()).toBe(true);
    },
  );

  it.each(["", "nonsense", "flywheel-plan-1", "flywheel-plan-1\ninject=x\n--y", "flywheel-plan-1\nrun\nstop", "flywheel-plan-2\nrun"])(
    "fails closed on the plan %j",
    async (plan) => {
      house.remove();
      house = await buildHouse(plan);
      const outcome = await house.run(["build", "//x"], { shell });
      expect(outcome).toMatchObject({ code: 78 });
      expect(outcome.stdout.length).toBe(0);
      expect(outcome.stderr).toContain("flywheel: refused bazel: the guard could not run");
    },
  );

  it("gives PATH back: order and empty entries kept, every shim's directory gone", async () => {
    const other = join(house.root, "other shim");
    mkdirSync(other);
    writeFileSync(join(other, ".flywheel-shim"), "");
    script(join(house.tools, "bazel"), 'printf %s "$PATH"');
    const path = `:${other}:${house.tools}::${house.shim}:/usr/bin:/bin:`;
    const outcome = await house.run(["info"], { shell, env: { PATH: path } });
    expect(outcome.stdout.toString()).toBe(`:${house.tools}::/usr/bin:/bin:`);
  });

  it("adds GF_SHIM_DEPTH to the tool's environment, and nothing else", async () => {
    house.publish();
    script(join(house.tools, "bazel"), "exec /usr/bin/env -0");
    script(join(house.root, "bare"), "exec /usr/bin/env -0");
    const env = { ODD: "a\nb'\"$x", GF_X: "1", PATH: `${house.shim}:${house.tools}:/usr/bin:/bin` };
    const through = await house.run(["build", "//x"], { shell, env });
    const seen = through.stdout
      .toString()
      .split("\0")
      .filter((line) => line !== "" && !/^(_|PWD|OLDPWD|SHLVL)=/.test(line))
      .sort();
    const expected = Object.entries({ ...house.env, ...env, PATH: `${house.tools}:/usr/bin:/bin`, GF_SHIM_DEPTH: "1" })
      .map(([name, value]) => `${name}=${value}`)
      .sort();
    expect(seen).toEqual(expected);
  });

  it("takes the exit code, standard input and the arguments' bytes as they are", async () => {
    script(join(house.tools, "bazel"), 'cat; printf %s "$2"; exit "$3"');
    const outcome = await house.run(["info", "x", "37"], { shell, input: "from stdin\n" });
    expect(outcome).toMatchObject({ code: 37 });
    expect(outcome.stdout.toString()).toBe("from stdin\nx");
  });

  const lines = (): string[] => {
    house.publish();
    return readFileSync(house.attachment, "utf8").trimEnd().split("\n");
  };
  const replaced = (key: string, value: string): string =>
    `${lines()
      .map((line) => (line.startsWith(`${key} `) ? `${key} ${value}` : line))
      .join("\n")}\n`;
  const hostile: readonly [string, () => string][] = [
    ["an unknown key", () => `${lines().join("\n")}\nnew 1\n`],
    ["a doubled key", () => `${lines().join("\n")}\nendpoint grpc://evil:1\n`],
    [
      "a missing key",
      () =>
        `${lines()
          .filter((line) => !line.startsWith("slow "))
          .join("\n")}\n`,
    ],
    ["another version", () => `${lines().join("\n").replace("attachment 1", "attachment 2")}\n`],
    ["a cut end", () => lines().join("\n")],
    ["an empty file", () => ""],
    ["a command substitution as a number", () => replaced("valid-until", "a[$(touch pwned)]")],
    ["a command substitution as an endpoint", () => replaced("endpoint", "grpc://$(touch pwned):1")],
    ["backquotes", () => replaced("endpoint", "grpc://`touch pwned`:1")],
    ["a flag as an endpoint", () => replaced("endpoint", "--remote_executor=grpc://evil:1")],
    ["an endpoint with a space", () => replaced("endpoint", "grpc://a:1 --remote_executor=x")],
    ["an over-long endpoint", () => replaced("endpoint", `grpc://${"a".repeat(600)}:1`)],
    ["an over-long number", () => replaced("verified", "1".repeat(13))],
    ["an octal number", () => replaced("pid", "0123")],
    ["a lease that ended", () => replaced("valid-until", String(alive().verified - 1))],
    ["a proof from the future", () => replaced("verified", String(alive().verified + 1000))],
    ["too long a lease", () => replaced("valid-until", String(alive().verified + 1000))],
    ["another boot", () => replaced("boot-id", "00000000-0000-0000-0000-000000000000")],
    ["another profile", () => replaced("profile", "other")],
    ["another kind", () => replaced("kind", "nix")],
    ["nine aliases", () => `${lines().join("\n")}\n${"alias grpc://a:1\n".repeat(9)}`],
    ["the daemon's wish", () => replaced("slow", "true")],
    ["unattached", () => replaced("state", "unattached")],
    ["an executor", () => replaced("mode", "executor-backed")],
    ["a local proof that nobody asked for", () => replaced("state", "local-proof")],
  ];
  it.each(hostile)("does not believe a published file with %s", async (_, text) => {
    house.publish(text());
    const outcome = await house.run(["build", "//x"], { shell });
    expect(outcome).toMatchObject({ code: 78 });
    expect(outcome.stdout.length).toBe(0);
    expect(asked()).toBe(true);
    expect(() => readFileSync(join(house.work, "pwned"))).toThrow();
  });

  it.each([
    ["BAZEL_REMOTE_CACHE", "grpc://elsewhere:1"],
    ["BAZEL_REMOTE_CACHE", "*"],
    ["BAZEL_REMOTE_EXECUTOR", "grpc://x:1"],
    ["BAZEL_REMOTE_INSTANCE_NAME", "x"],
    ["GF_BAZEL_SUBSTRATE_MODE", "executor-backed"],
    ["GF_FLYWHEEL_PROFILE_STATE", "unattached"],
    ["GF_BAZEL_REMOTE_UPLOAD", "maybe"],
    ["GF_GUARD_SCOPE", "some"],
    ["GF_GUARD_BYPASS", ""],
    ["GF_PROFILE", "../default"],
    ["GF_PROFILE", "a".repeat(33)],
    ["HOME", "relative"],
  ])("leaves %s=%s to the slow path", async (name, value) => {
    house.publish();
    const outcome = await house.run(["build", "//x"], { shell, env: { [name]: value } });
    expect(outcome.code).toBe(78);
    expect(asked()).toBe(true);
  });

  it.each(["", "*", "grpc://elsewhere:*", "grpc://elsewhere:12"])(
    "leaves an endpoint that is not the exported %j to it too",
    async (exported) => {
      house.publish();
      const env = { BAZEL_REMOTE_CACHE: "grpc://elsewhere:1", GF_SHELL_ATTACHED: exported };
      expect((await house.run(["build", "//x"], { shell, env })).code).toBe(78);
      expect(asked()).toBe(true);
    },
  );

  it.each([
    [{ BAZEL_REMOTE_CACHE: "grpc://100.64.0.5:9092" }, "false"],
    [{ BAZEL_REMOTE_CACHE: "grpc://cache.example.ts.net:9092", GF_FLYWHEEL_PROFILE_STATE: "shared-cache-backed" }, "false"],
    [{ BAZEL_REMOTE_CACHE: "grpc://gone:1", GF_SHELL_ATTACHED: "grpc://gone:1" }, "false"],
    [{ BAZEL_REMOTE_CACHE: "a*c", GF_SHELL_ATTACHED: "a*c" }, "false"],
    [{ GF_BAZEL_REMOTE_UPLOAD: "true" }, "true"],
    [{ GF_BAZEL_REMOTE_UPLOAD: "true", GF_BAZEL_CACHE_ROLE: "read-only" }, "false"],
  ])("agrees with %j", async (env, upload) => {
    house.publish();
    const outcome = await house.run(["build"], { shell, env });
    const writes = upload === "true" ? attachedFlags.filter((flag) => !silentEventFlags.includes(flag)) : attachedFlags;
    expect(words(outcome)).toEqual(["build", ...writes.map((flag) => flag.replace("results=false", `results=${upload}`))]);
    expect(asked()).toBe(false);
  });

  it("injects a local proof only for who asked for one", async () => {
    house.publish({ state: "local-proof" });
    const env = { GF_BAZEL_LOCAL_PROOF: "port-forward", GF_BAZEL_ALLOW_LOCALHOST_PROOF: "true" };
    expect(words(await house.run(["build"], { shell, env }))).toEqual(["build", ...attachedFlags]);
  });
});

describe("scope", () => {
  const enrolled = { env: { GF_GUARD_SCOPE: undefined } };
  const remember = (verdict: string): void => {
    const directory = join(house.root, `state/workspace${house.work}`);
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, ".verdict"), `${verdict}\n${house.work}\n`);
  };

  it("passes everything through where nothing enrols", async () => {
    expect(words(await house.run(["build", "//x"], enrolled))).toEqual(["build", "//x"]);
    expect(asked()).toBe(false);
  });

  it("asks once about a manifest, then believes the verdict while it is the younger", async () => {
    house.publish();
    const manifest = join(house.work, "tinyland.repo.json");
    writeFileSync(manifest, "{}");
    expect((await house.run(["build", "//x"], enrolled)).code).toBe(78);
    remember("unenrolled manifest");
    expect(words(await house.run(["build", "//x"], enrolled))).toEqual(["build", "//x"]);
    const below = join(house.work, "a/b");
    mkdirSync(below, { recursive: true });
    expect(words(await house.run(["build", "//x"], { ...enrolled, cwd: below }))).toEqual(["build", "//x"]);
    remember("enrolled manifest");
    expect(words(await house.run(["build", "//x"], enrolled))).toEqual(["build", "//x", ...attachedFlags]);
    const later = new Date(Date.now() + 5000);
    utimesSync(manifest, later, later);
    expect((await house.run(["build", "//x"], enrolled)).code).toBe(78);
  });

  describe.each(shells)("a guard that waits, under $name", ({ command: shell }) => {
    const options = { shell, env: { GF_GUARD_SCOPE: undefined } };
    const config = (): string => join(house.root, "config/config.toml");
    const aged = (file: string, text: string, secondsAgo: number): void => {
      const at = new Date(Date.now() - secondsAgo * 1000);
      writeFileSync(file, text);
      utimesSync(file, at, at);
    };
    /** The guard's reading, and the verdict that it leaves once it has waited. */
    const read = (secondsAgo: number): (() => void) => {
      const world = surroundings({ tool: "bazel", args: ["build"], env: { ...house.env, PWD: house.work }, cwd: house.work }, "look");
      const [workspace, configuration] = [world.workspace(), world.config()];
      return () =>
        rememberVerdict(pathsFrom(house.env, house.root), workspace, configuration, {
          begun: Date.now() - secondsAgo * 1000,
          configFile: world.configFile,
          envFile: false,
        });
    };

    beforeEach(() => {
      house.publish();
      mkdirSync(join(house.root, "config"));
      aged(join(house.work, "tinyland.repo.json"), "{}", 60);
      aged(config(), "", 60);
    });

    it("leaves a verdict on what did not change meanwhile", async () => {
      read(3)();
      expect(words(await house.run(["build", "//x"], options))).toEqual(["build", "//x"]);
      expect(asked()).toBe(false);
    });

    it("leaves none that an edit while it waited has overtaken", async () => {
      const leave = read(3);
      aged(config(), '[guard]\nscope = "all"\n', 1.5);
      leave();
      expect((await house.run(["build", "//x"], options)).code).toBe(78);
    });

    it("leaves one that is older than an edit behind it, be it within the clock's grain", async () => {
      read(3)();
      aged(config(), '[guard]\nscope = "all"\n', 3);
      expect((await house.run(["build", "//x"], options)).code).toBe(78);
    });

    it("leaves none that anybody believes where the configuration went while it waited", async () => {
      const leave = read(3);
      rmSync(config());
      leave();
      expect((await house.run(["build", "//x"], options)).code).toBe(78);
    });
  });

  describe.each(shells)("a workspace that maps to another profile, under $name", ({ command: shell }) => {
    const inLab = (): void => {
      writeFileSync(join(house.work, "tinyland.repo.json"), "{}");
      house.publish();
      const published = readFileSync(house.attachment, "utf8");
      const directory = join(house.root, "run/attachment/lab");
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      const lab = published
        .replace("profile default", "profile lab")
        .replace("endpoint grpc://100.64.0.5:9092", "endpoint grpc://100.64.7.7:9192");
      writeFileSync(join(directory, "bazel"), lab, { mode: 0o600 });
    };
    const cacheOf = (outcome: Parameters<typeof words>[0]): string | undefined =>
      words(outcome).find((word) => word.startsWith("--remote_cache="));

    it("gets that one's attachment, unless GF_PROFILE says otherwise", async () => {
      inLab();
      remember("enrolled manifest profile=lab");
      const env = { GF_GUARD_SCOPE: undefined };
      expect(cacheOf(await house.run(["build", "//x"], { shell, env }))).toBe("--remote_cache=grpc://100.64.7.7:9192");
      expect(cacheOf(await house.run(["build", "//x"], { shell, env: { GF_GUARD_SCOPE: "all" } }))).toBe(
        "--remote_cache=grpc://100.64.7.7:9192",
      );
      const other = await house.run(["build", "//x"], { shell, env: { ...env, GF_PROFILE: "default" } });
      expect(cacheOf(other)).toBe("--remote_cache=grpc://100.64.0.5:9092");
      expect(asked()).toBe(false);
    });

    it.each([
      "profile=",
      "profile=../default",
      "profile=*",
      "profile=$(id)",
      "profile=lab profile=default",
      `profile=${"a".repeat(33)}`,
      "strict lab",
    ])("believes no verdict with %s", async (said) => {
      inLab();
      remember(`enrolled manifest ${said}`);
      expect((await house.run(["build", "//x"], { shell, ...enrolled })).code).toBe(78);
      expect(asked()).toBe(true);
    });

    it("takes no profile from a variable of its own name in the environment", async () => {
      inLab();
      remember("enrolled manifest");
      const outcome = await house.run(["build", "//x"], { shell, env: { GF_GUARD_SCOPE: undefined, _gf_mapped: "lab" } });
      expect(cacheOf(outcome)).toBe("--remote_cache=grpc://100.64.0.5:9092");
    });

    it("marks the running command with the profile that the slow path's plan names", async () => {
      house.remove();
      house = await buildHouse("flywheel-plan-1\ninject=1\ncommand=build\nprofile=lab\n--remote_cache=grpc://h:1");
      mkdirSync(join(house.root, "run/running"), { mode: 0o700 });
      expect(words(await house.run(["build"], { shell }))).toEqual(["build", "--remote_cache=grpc://h:1"]);
      const [mark = ""] = readdirSync(join(house.root, "run/running"));
      expect(readFileSync(join(house.root, "run/running", mark), "utf8")).toContain("\nprofile lab\n");
    });
  });

  it("stops at a repository's boundary", async () => {
    writeFileSync(join(house.root, "tinyland.repo.json"), "{}");
    expect((await house.run(["build", "//x"], enrolled)).code).toBe(78);
    mkdirSync(join(house.work, ".git"));
    expect(words(await house.run(["build", "//x"], enrolled))).toEqual(["build", "//x"]);
  });

  it("does not mistake another workspace behind a retargeted link for the judged one", async () => {
    const [one, two, link] = ["one", "two", "link"].map((name) => join(house.root, name)) as [string, string, string];
    for (const directory of [one, two]) {
      mkdirSync(directory);
      writeFileSync(join(directory, "tinyland.repo.json"), "{}");
    }
    symlinkSync(two, link);
    const directory = join(house.root, `state/workspace${link}`);
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, ".verdict"), `unenrolled manifest\n${one}\n`);
    expect((await house.run(["build", "//x"], { env: { GF_GUARD_SCOPE: undefined, PWD: link }, cwd: link })).code).toBe(78);
  });
});

describe("loops and wrong turns", () => {
  it("refuses to run from outside its own directory", async () => {
    symlinkSync(join(house.shim, "bazel"), join(house.root, "bazel"));
    const outcome = await house.run(["info"], { name: "../bazel" });
    expect(outcome).toMatchObject({ code: 78 });
    expect(outcome.stderr).toContain("is a link to or a copy of a shim");
  });

  it("never takes a link to itself for the tool", async () => {
    const linked = join(house.root, "linked");
    mkdirSync(linked);
    symlinkSync(join(house.shim, "bazel"), join(linked, "bazel"));
    const outcome = await house.run(["info"], { env: { PATH: `${linked}:${house.shim}:${house.tools}:/usr/bin:/bin` } });
    expect(words(outcome)).toEqual(["info"]);
  });

  it("ends a loop through a wrapper that calls the shim by its path", async () => {
    script(join(house.tools, "bazel"), `exec '${house.shim}/bazel' "$@"`);
    const outcome = await house.run(["info"]);
    expect(outcome.code).toBe(78);
    expect(outcome.stderr).toContain("shims call each other in a loop");
  });

  it("takes GF_REAL_BAZEL, and nothing that is no program or a shim", async () => {
    script(join(house.root, "mine"), "echo mine");
    expect((await house.run(["info"], { env: { GF_REAL_BAZEL: join(house.root, "mine") } })).stdout.toString()).toBe("mine\n");
    for (const wrong of [join(house.shim, "bazelisk"), join(house.root, "none"), house.root, "mine"]) {
      const outcome = await house.run(["info"], { env: { GF_REAL_BAZEL: wrong } });
      expect(outcome.code).toBe(127);
      expect(outcome.stderr).toContain("GF_REAL_BAZEL");
    }
  });

  it("says so where there is no tool behind it", async () => {
    const outcome = await house.run(["build"], { env: { PATH: house.shim } });
    expect(outcome).toMatchObject({ code: 127 });
    expect(outcome.stderr).toContain("not found on PATH behind the shim");
  });

  it("refuses a USE_BAZEL_VERSION that names the shim", async () => {
    const outcome = await house.run(["version"], { name: "bazelisk", env: { USE_BAZEL_VERSION: join(house.shim, "bazel") } });
    expect(outcome.code).toBe(127);
  });
});

describe("what may have been written by somebody else", () => {
  it("does not follow a link to the attachment file, nor to a directory on the way", async () => {
    house.publish();
    const real = join(house.root, "elsewhere");
    writeFileSync(real, readFileSync(house.attachment));
    const { unlinkSync, renameSync } = await import("node:fs");
    unlinkSync(house.attachment);
    symlinkSync(real, house.attachment);
    expect((await house.run(["build"])).code).toBe(78);
    unlinkSync(house.attachment);
    house.publish();
    expect((await house.run(["build"])).code).toBe(0);
    renameSync(join(house.root, "run/attachment"), join(house.root, "run/moved"));
    symlinkSync(join(house.root, "run/moved"), join(house.root, "run/attachment"));
    expect((await house.run(["build"])).code).toBe(78);
  });

  // Only root can give a file away; CI is root.
  it.skipIf(process.getuid?.() !== 0)("does not believe a file of another user", async () => {
    house.publish();
    const { chownSync } = await import("node:fs");
    chownSync(house.attachment, 65_534, 65_534);
    expect((await house.run(["build"])).code).toBe(78);
    chmodSync(house.attachment, 0o644);
    expect((await house.run(["build"])).code).toBe(78);
  });
});

describe("long and odd command lines", () => {
  it("carries 30,000 arguments, with and without dashes", async () => {
    house.publish();
    const targets = Array.from({ length: 30_000 }, (_, index) => `//t:${index}`);
    expect(words(await house.run(["build", ...targets]))).toEqual(["build", ...targets, ...attachedFlags]);
    expect(words(await house.run(["build", "--", ...targets]))).toEqual(["build", ...attachedFlags, "--", ...targets]);
  });

  it("hands on bytes that are no UTF-8", async () => {
    house.publish();
    script(join(house.root, "call"), `exec "$1" build "$(printf 'a\\377b')"`);
    const outcome = await house.run([], { shell: ["/bin/sh", join(house.root, "call")] });
    expect(outcome.stdout.subarray(0, 10)).toEqual(Buffer.from([...Buffer.from("build\0a"), 0xff, ...Buffer.from("b\0")]));
  });
});
