/** The generated sh of Nix's names, alone: what it believes, what it leaves to the slow path, and what it hands to the tool. */
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { manifestName } from "../../contract/manifest.ts";
import { nixNames } from "../../contract/nix/commands.ts";
import { settingFlags, settingLines } from "../../contract/nix/injection.ts";
import { type Published, parsePublished, serializePublished } from "../../contract/published.ts";
import { parseMark } from "../../contract/running.ts";
import { endpointOf } from "../fixtures/endpoint.ts";
import { type Outcome, script, shells, words } from "./house.ts";
import { aliveNix, attachedSettings, buildNixHouse, cacheUrl, type NixHouse, publicKey } from "./nix-house.ts";

let house: NixHouse;
beforeAll(async () => {
  house = await buildNixHouse();
});
afterAll(() => house.remove());

const asked = (outcome: Outcome): boolean => outcome.code === 78 && outcome.stdout.length === 0;
const attachedBy = (config?: string): string => settingLines(config ?? "", attachedSettings);

describe.each(shells)("$name", ({ command: shell }) => {
  const run = (name: string, args: readonly string[], env: Readonly<Record<string, string | undefined>> = {}): Promise<Outcome> =>
    house.run(args, { name, env, shell });

  it("attaches by NIX_CONFIG, behind the user's own, byte for byte", async () => {
    house.publishNix();
    expect(words(await run("nix", ["build", ".#x"]))).toEqual([attachedBy(), "build", ".#x"]);
    const own = "substituters = \n# a comment without an end\nx = $(id) `id` \\ \"'é\t";
    expect(words(await run("nix-build", ["-A", "a b", ""], { NIX_CONFIG: own }))).toEqual([attachedBy(own), "-A", "a b", ""]);
    expect(words(await run("nix-build", [], { NIX_CONFIG: "" }))).toEqual([attachedBy()]);
  });

  it("attaches by flags what starts a program, and leaves NIX_CONFIG alone", async () => {
    house.publishNix();
    const flags = settingFlags(attachedSettings);
    expect(words(await run("nix", ["develop", "-c", "a b"]))).toEqual(["unset", ...flags, "develop", "-c", "a b"]);
    expect(words(await run("nix-shell", ["-p", "x"], { NIX_CONFIG: "cores = 1" }))).toEqual(["cores = 1", ...flags, "-p", "x"]);
  });

  it("takes the attachment of the profile that the workspace maps to", async () => {
    house.publishNix();
    const work = join(house.root, "mapped");
    const cache = "http://100.64.7.7:8501/physics";
    mkdirSync(join(house.root, `state/workspace${work}`), { recursive: true });
    mkdirSync(join(house.root, "run/attachment/lab"), { recursive: true, mode: 0o700 });
    mkdirSync(work, { recursive: true });
    writeFileSync(join(work, manifestName), "{}");
    writeFileSync(join(house.root, `state/workspace${work}/.verdict`), `enrolled manifest profile=lab\n${work}\n`);
    const endpoint = endpointOf({ kind: "nix", scheme: "http", host: "100.64.7.7", port: 8501, path: "/physics" });
    writeFileSync(join(house.root, "run/attachment/lab/nix"), serializePublished({ ...aliveNix(), profile: "lab", endpoint }), {
      mode: 0o600,
    });
    const inLab = { name: "nix", shell, cwd: work, env: { GF_GUARD_SCOPE: undefined } };
    expect(words(await house.run(["build"], inLab))[0]).toContain(`extra-substituters = ${cache}\n`);
    expect(words(await house.run(["build"], { ...inLab, env: { ...inLab.env, GF_PROFILE: "default" } }))[0]).toContain(
      `extra-substituters = ${cacheUrl}\n`,
    );
  });

  it("leaves the limits to a NIX_CONFIG that names them", async () => {
    house.publishNix();
    const own = "connect-timeout = 60\ndownload-attempts = 9";
    const kept = attachedSettings.filter(({ name }) => !own.includes(name));
    expect(kept).toHaveLength(attachedSettings.length - 2);
    expect(words(await run("nix", ["build"], { NIX_CONFIG: own }))[0]).toBe(settingLines(own, kept));
    expect(words(await run("nix", ["run"], { NIX_CONFIG: own }))).toEqual([own, ...settingFlags(kept), "run"]);
  });

  it("names only the endpoint and what everybody may set to a user whom the Nix daemon does not trust", async () => {
    house.publishNix({ nix: { publicKey, trustedUser: false } });
    expect(words(await run("nix", ["build"]))[0]).toBe(`extra-substituters = ${cacheUrl}\nconnect-timeout = 5`);
  });

  it("asks the slow path where NIX_CONFIG or NIX_REMOTE speaks of substitution or another store", async () => {
    house.publishNix();
    for (const NIX_CONFIG of ["substitute = false", "substitute=true", "build-use-substitutes = false", "store = /x"]) {
      expect(asked(await run("nix", ["build"], { NIX_CONFIG })), NIX_CONFIG).toBe(true);
    }
    expect(asked(await run("nix", ["build"], { NIX_REMOTE: "ssh-ng://host" }))).toBe(true);
    for (const NIX_REMOTE of ["", "daemon", "auto", "local"]) expect(asked(await run("nix", ["build"], { NIX_REMOTE }))).toBe(false);
  });

  it("asks the slow path about a bypass and about scripts", async () => {
    house.publishNix();
    expect(asked(await run("nix", ["build"], { GF_GUARD_BYPASS: "why" }))).toBe(true);
    expect(words(await run("nix", ["eval", "x"], { GF_GUARD_BYPASS: "why" }))).toEqual(["unset", "eval", "x"]);
    writeFileSync(join(house.work, "s"), "#!/usr/bin/env nix-shell\n");
    expect(asked(await run("nix-shell", ["s"]))).toBe(true);
    expect(asked(await run("nix", ["./s"]))).toBe(true);
    writeFileSync(join(house.work, "shell.nix"), "{ }: 1\n");
    expect(asked(await run("nix-shell", ["shell.nix"]))).toBe(false);
  });

  it("believes nothing that TypeScript would not", async () => {
    const text = serializePublished(aliveNix());
    const key = (value: string): string => text.replace(/^key .*$/m, `key ${value}`);
    const variants: Readonly<Record<string, string>> = {
      "no key": text.replace(/^key .*\n/m, ""),
      "no trust": text.replace(/^trusted-user .*\n/m, ""),
      "two keys": text.replace(/^(key .*\n)/m, "$1$1"),
      "another trust": text.replace(/^trusted-user .*$/m, "trusted-user maybe"),
      "a key without a name": key(publicKey.replace(/^main/, "")),
      "a key with a space": key(publicKey.replace("main", "ma in")),
      "a key of two names": key(`a:${publicKey}`),
      "a key that is too short": key(publicKey.replace("A=", "=")),
      "a key that is too long": key(publicKey.replace("=", "AAAA=")),
      "a key without its end": key(publicKey.replace("=", "A")),
      "a key with an end in the middle": key(publicKey.replace("ea", "=a")),
      "a key with a command": key("$(id):".padEnd(50, "A")),
      "a key with a plus in its name": key(publicKey.replace("main", "ma+in")),
      "a key with a dot in its middle": key(publicKey.replace("ea", ".a")),
      "an endless name": key(publicKey.replace("main", "m".repeat(129))),
      "a gRPC endpoint": text.replace(/^endpoint .*$/m, "endpoint grpc://100.64.0.5:9092"),
      "another kind": text.replace("kind nix", "kind bazel"),
      "a slow path": text.replace("slow false", "slow true"),
      "no attachment": serializePublished({ ...aliveNix(), state: "unattached", endpoint: undefined }),
      "an old lease": text.replace(/^verified .*$/m, "verified 1").replace(/^valid-until .*$/m, "valid-until 46"),
      nothing: "",
    };
    for (const [name, variant] of Object.entries(variants)) {
      house.publishNix(variant);
      expect(variant, name).not.toBe(text);
      expect(asked(await run("nix", ["build"])), name).toBe(true);
    }
    house.publishNix(text);
    expect(asked(await run("nix", ["build"]))).toBe(false);
  });

  it("leaves a mark of what runs attached, but of no shell that somebody enters", async () => {
    house.publishNix();
    const marks = join(house.env["GF_RUNTIME_DIR"] ?? "", "running");
    rmSync(marks, { recursive: true, force: true });
    mkdirSync(marks, { mode: 0o700 });
    await run("nix", ["develop"]);
    await run("nix", ["eval"]);
    expect(readdirSync(marks)).toEqual([]);
    await run("nix", ["flake", "check"]);
    await run("nix-build", []);
    const found = readdirSync(marks).map((name) => parseMark(name, readFileSync(join(marks, name), "utf8")));
    expect(found.map((mark) => `${mark?.tool} ${mark?.command}`).sort()).toEqual(["nix flake-check", "nix-build nix-build"]);
    rmSync(marks, { recursive: true });
  });
});

describe("parsePublished", () => {
  const parsed = (changes: Partial<Published>) => parsePublished(serializePublished({ ...aliveNix(), ...changes }));

  it("gives back what was published", () => {
    expect(parsed({})).toMatchObject({ ok: true, published: { nix: { publicKey, trustedUser: true } } });
    expect(parsed({ nix: { publicKey, trustedUser: false } })).toMatchObject({ ok: true, published: { nix: { trustedUser: false } } });
  });

  it("takes no key where there is no attachment, and none of Bazel's", () => {
    expect(parsed({ state: "unattached", endpoint: undefined })).toEqual({ ok: false, fault: "state and key contradict" });
    const bazel = endpointOf({ kind: "bazel", scheme: "grpc", host: "100.64.0.5", port: 9092 });
    expect(parsed({ kind: "bazel", endpoint: bazel })).toMatchObject({ ok: false, fault: "the key key is not known" });
    expect(parsed({ nix: { publicKey: "main:short=", trustedUser: true } })).toEqual({ ok: false, fault: "key" });
  });
});

describe("a script for each name", () => {
  it.each(nixNames)("%s runs the real one behind it, with our directory off its PATH", async (name) => {
    script(join(house.tools, name), 'echo "$PATH"');
    const outcome = await house.run(["--version"], { name });
    expect(outcome.stdout.toString().trim()).toBe(`${house.tools}:/usr/bin:/bin`);
    script(join(house.tools, name), `for word in "\${NIX_CONFIG-unset}" "$@"; do printf '%s\\0' "$word"; done`);
  });

  it("can be told where the real one is", async () => {
    const real = join(house.root, "elsewhere");
    script(real, "echo elsewhere");
    const outcome = await house.run(["--version"], {
      name: "nix-build",
      env: { GF_REAL_NIX_BUILD: real, PATH: `${house.shim}:/usr/bin:/bin` },
    });
    expect(outcome.stdout.toString()).toBe("elsewhere\n");
  });

  it("ends a loop of shims", async () => {
    const loop = join(house.root, "loop");
    mkdirSync(loop);
    script(join(loop, "nix"), `exec '${house.shimOf("nix")}' "$@"`);
    const outcome = await house.run(["--version"], { name: "nix", env: { GF_REAL_NIX: join(loop, "nix") } });
    expect(outcome.code).toBe(78);
    expect(outcome.stderr).toMatch(/^flywheel: refused nix: shims call each other in a loop/);
  });

  it("is no shim through a link", async () => {
    const link = join(house.root, "nix");
    symlinkSync(house.shimOf("nix"), link);
    const outcome = await house.run([], { shell: ["/bin/sh", link] });
    expect(outcome.code).toBe(78);
    expect(outcome.stderr).toMatch(/is a link to or a copy of a shim/);
  });
});

describe("scope", () => {
  const verdict = (line: string): void => {
    const directory = `${house.env["GF_STATE_DIR"]}/workspace${house.work}`;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    writeFileSync(join(directory, ".verdict"), `${line}\n${house.work}\n`, { mode: 0o600 });
  };

  it("an enrolled workspace is guarded, any other is not", async () => {
    house.publishNix();
    const env = { GF_GUARD_SCOPE: undefined };
    expect(words(await house.run(["build"], { name: "nix", env }))[0]).toBe("unset");
    writeFileSync(join(house.work, manifestName), "{}");
    expect(asked(await house.run(["build"], { name: "nix", env }))).toBe(true);
    verdict("enrolled manifest");
    expect(words(await house.run(["build"], { name: "nix", env }))[0]).toBe(attachedBy());
    verdict("unenrolled manifest");
    expect(words(await house.run(["build"], { name: "nix", env }))[0]).toBe("unset");
    rmSync(join(house.work, manifestName));
  });

  it("medium commands are guarded only where the verdict says that the configuration wants it", async () => {
    house.publishNix();
    const directory = house.env["GF_CONFIG_DIR"] ?? "";
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, "config.toml"), "");
    const evaluate = () => house.run(["eval"], { name: "nix" });
    rmSync(`${house.env["GF_STATE_DIR"]}/workspace`, { recursive: true, force: true });
    expect(asked(await evaluate())).toBe(true);
    verdict("unenrolled none+config");
    expect(words(await evaluate())).toEqual(["unset", "eval"]);
    verdict("unenrolled none+config strict");
    expect(words(await evaluate())).toEqual([attachedBy(), "eval"]);
    verdict("unenrolled none+config loose");
    expect(asked(await evaluate())).toBe(true);
    rmSync(join(directory, "config.toml"));
  });
});

it("every name has a script, in the directory of the tool that it comes with", () => {
  for (const name of nixNames) expect(readFileSync(house.shimOf(name), "utf8")).toMatch(/^#!\/bin\/sh\n/);
  const alone = ["darwin-rebuild", "home-manager", "nixos-rebuild"];
  for (const name of alone) expect(readdirSync(join(house.root, `shim-${name}`))).toEqual([".flywheel-shim", name]);
  const own = nixNames.filter((name) => !alone.includes(name));
  expect(readdirSync(join(house.root, "shim-nix")).sort()).toEqual([".flywheel-shim", ...own].sort());
  expect(readdirSync(house.shim).sort()).toEqual([".flywheel-shim", "bazel", "bazelisk", "flywheel"]);
});
