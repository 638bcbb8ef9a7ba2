/**
 * A secret is planted with `flywheel login`, everything is used, and then everything that was written or said is searched
 * for it: it is where it is kept, and where the user was told that Bazel itself writes it, and nowhere else.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { StatusReport } from "../../contract/api.ts";
import { realBazels } from "../fixtures/bazel/real.ts";
import { type BazelRun, removeBazelRoot, runBazel } from "../fixtures/bazel/run.ts";
import { makeWorkspace, type Workspace } from "../fixtures/bazel/workspace.ts";
import { bazelRemote, type RunningBazelRemote, startBazelRemote } from "../fixtures/bazel-remote/bazel-remote.ts";
import { peersRequired } from "../fixtures/peers.ts";
import { type SecretService, secretService, startSecretService } from "../fixtures/secret-service/secret-service.ts";
import { built, makeStage, type Ran, type Stage } from "../fixtures/stage.ts";

const peer = await bazelRemote();
const keyring = secretService();
const missing = [peer, keyring].flatMap((each) => (each.available ? [] : [each.reason]));
if (missing.length > 0 && peersRequired()) throw new Error(missing.join("; "));

const user = "ada";
const targets = 3;
/** Over gRPC 2.1 asks for the capabilities without any header: a cache that wants one lets it in by HTTP alone (tried). */
const protocols = { "2.1.0": "http", "4.2.3": "grpc" } as const;

/** The secret, in every spelling in which it travels. */
function spellings(secret: string): readonly string[] {
  return [secret, Buffer.from(`${user}:${secret}`).toString("base64"), Buffer.from(secret).toString("base64").replace(/=+$/, "")];
}

/** A secret that nothing has ever seen. */
function planted(): string {
  return `planted-${randomBytes(12).toString("hex")}`;
}

/** Every file below the directories that holds one of the texts, binary or not, by its path from its directory. */
function filesWith(directories: readonly string[], texts: readonly string[]): readonly string[] {
  return directories
    .flatMap((directory) =>
      readdirSync(directory, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => ({ directory, path: join(entry.parentPath, entry.name) })),
    )
    .filter(({ path }) => {
      const content = readFileSync(path);
      return texts.some((text) => content.includes(text));
    })
    .map(({ directory, path }) => relative(directory, path))
    .toSorted();
}

/** Looks at the arguments and environments of all processes, over and over, until it is told to stop. */
function watchProcesses(texts: readonly string[]) {
  const seen = new Set<string>();
  let looks = 0;
  let running = true;
  const look = (): void => {
    if (!running) return;
    looks += 1;
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)) {
      for (const what of ["cmdline", "environ"]) {
        try {
          const content = readFileSync(`/proc/${pid}/${what}`, "latin1");
          if (texts.some((text) => content.includes(text))) seen.add(`${what}: ${content.replaceAll("\0", " ").slice(0, 200)}`);
        } catch {
          // It ended, or is another's.
        }
      }
    }
    setImmediate(look);
  };
  look();
  return {
    /** @returns what held one of the texts */
    stop: (): readonly string[] => {
      running = false;
      expect(looks).toBeGreaterThan(10);
      return [...seen];
    },
  };
}

/** One machine with an authenticated cache, and a record of all that was said on it. */
class House implements AsyncDisposable {
  readonly said: string[] = [];
  readonly root: string;
  readonly stage: Stage;
  readonly workspace: Workspace;
  readonly url: string;
  readonly #cache: RunningBazelRemote;
  readonly #more: Readonly<Record<string, string>>;

  private constructor(root: string, stage: Stage, cache: RunningBazelRemote, url: string, more: Readonly<Record<string, string>>) {
    this.root = root;
    this.stage = stage;
    this.url = url;
    this.#cache = cache;
    // A temporary directory of its own: it is searched with the rest.
    this.#more = { ...more, TMPDIR: mkdtempSync(join(root, "tmp-")) };
    this.workspace = makeWorkspace(join(root, "workspace"), { targets });
  }

  static async open(
    bazel: string,
    { secret, protocol, more = {} }: { secret: string; protocol: "grpc" | "http"; more?: Readonly<Record<string, string>> },
  ): Promise<House> {
    const root = mkdtempSync(join(tmpdir(), "gf-sec-"));
    const tools = join(root, "tools");
    mkdirSync(tools);
    symlinkSync(bazel, join(tools, "bazel"));
    const cache = await startBazelRemote(peer.available ? peer.path : "", { users: { [user]: secret } });
    const nodes = [{ name: "cache", addresses: ["127.0.0.1"], tags: ["tag:bazel-cache"] }];
    const url = protocol === "grpc" ? cache.grpcUrl : cache.httpUrl;
    const ports = [Number(/\d+$/.exec(url)?.[0])];
    const [grpcPorts, httpPorts] = protocol === "grpc" ? [ports, []] : [[], ports];
    const stage = await makeStage([tools], { grpcPorts, httpPorts, upload: true, tailnet: { nodes } });
    return new House(root, stage, cache, url, more);
  }

  async flywheel(...args: readonly string[]): Promise<Ran> {
    const run = await this.stage.flywheel(args, { cwd: this.workspace.dir, env: this.#more });
    this.said.push(run.stdout, run.stderr);
    return run;
  }

  /** Logs in with a secret out of a file, which is gone afterwards. */
  async login(secret: string, ...more: readonly string[]): Promise<Ran> {
    const file = join(this.root, "token");
    writeFileSync(file, `${secret}\n`, { mode: 0o600 });
    try {
      return await this.flywheel("login", "--basic", "--user", user, "--token-file", file, ...more, this.url);
    } finally {
      rmSync(file);
    }
  }

  async build(outputBase: string, ...more: readonly string[]): Promise<BazelRun> {
    const run = await runBazel({
      bazel: join(built.shim, "bazel"),
      workspace: this.workspace,
      outputUserRoot: this.root,
      outputBase,
      args: ["build", "//:all", ...more],
      env: { ...this.stage.env, ...this.#more },
    });
    this.said.push(run.stdout, run.stderr);
    return run;
  }

  async status(): Promise<StatusReport> {
    return JSON.parse((await this.flywheel("status", "--json")).stdout) as StatusReport;
  }

  /** What the program has to say of everything it knows. */
  async askEverything(): Promise<void> {
    for (const words of [
      ["status"],
      ["login"],
      ["login", "--json"],
      ["doctor"],
      ["doctor", "--json"],
      ["history", "--json"],
      ["logs"],
      ["env"],
      ["contract", "--json"],
      ["parity", "--json"],
      ["explain", "--json", "--", "bazel", "build", "//:all"],
      ["--debug", "explain", "--", "bazel", "build", "//:all"],
    ]) {
      await this.flywheel(...words);
    }
    const archive = join(this.root, "gathered.tar.gz");
    const gathered = await this.flywheel("doctor", "--gather", "--yes", "-o", archive);
    expect(gathered.exitCode, gathered.stderr).toBe(0);
    const opened = join(this.root, "gathered");
    mkdirSync(opened);
    await execa("tar", ["-xzf", archive, "-C", opened]);
    expect(readdirSync(opened).length).toBeGreaterThan(0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stage.dispose();
    await this.#cache.stop();
    await removeBazelRoot(this.root);
  }
}

describe.skipIf(missing.length > 0)("a planted secret", () => {
  describe.for(realBazels())("with the header that Bazel $version was allowed", (bazel) => {
    const needs = bazel.available ? { timeout: 240_000 } : { skip: true };
    const secret = planted();
    let house: House;

    beforeAll(async () => {
      if (bazel.available) house = await House.open(bazel.path, { secret, protocol: protocols[bazel.version] });
    });
    afterAll(async () => {
      if (bazel.available) await house[Symbol.asyncDispose]();
    });

    test("is in its file, in the rc of its generation and in what Bazel itself writes, and nowhere else", needs, async () => {
      const wrong = planted();
      const refused = await house.login(wrong, "--store", "file", "--allow-legacy-header", "--debug");
      expect(refused.exitCode, refused.stderr).toBe(1);
      const kept = await house.login(secret, "--store", "file", "--allow-legacy-header");
      expect(kept.exitCode, kept.stderr).toBe(0);
      const up = await house.flywheel("up");
      expect(up.exitCode, up.stdout + up.stderr).toBe(0);

      const processes = watchProcesses(spellings(secret));
      const filled = await house.build("one", `--build_event_json_file=${join(house.root, "events.json")}`);
      const read = await house.build("two");
      await house.askEverything();
      const recorded = await house.flywheel("exec", "--record", "--", "bazel", `--output_user_root=${house.root}`, "build", "//:all");
      const proof = await house.flywheel("proof", "--kind", "bazel", "--json", "//:all");
      expect(processes.stop()).toEqual([]);
      expect(filled.processes, filled.stderr).toEqual({ hits: 0, total: targets });
      expect(read.processes, read.stderr).toEqual({ hits: targets, total: targets });
      expect(recorded.exitCode, recorded.stderr).toBe(0);
      expect(proof.exitCode, proof.stdout + proof.stderr).toBe(0);

      for (const text of [...spellings(secret), ...spellings(wrong)]) expect(house.said.filter((said) => said.includes(text))).toEqual([]);
      expect(filesWith([house.stage.dir, house.root], spellings(wrong))).toEqual([]);
      const ours = filesWith([house.stage.dir], spellings(secret));
      expect(ours).toEqual([
        expect.stringMatching(/^run\/credentials\/[0-9a-f]{32}-[0-9a-f]{16}\/bazelrc$/),
        expect.stringMatching(/^state\/credentials\/[0-9a-f]{32}$/),
      ]);
      // As the user was told: the file of build events, and the server's log of each output base.
      const theirs = filesWith([house.root], spellings(secret));
      expect(theirs).toContain("events.json");
      expect(theirs.filter((file) => file !== "events.json" && !/(?:^|\/)java\.log(?:\.[^/]*)?$/.test(file))).toEqual([]);
    });

    test("is gone with the logout", needs, async () => {
      const out = await house.flywheel("logout", house.url);
      expect(out.exitCode, out.stderr).toBe(0);
      expect(filesWith([house.stage.dir], spellings(secret))).toEqual([]);
      expect((await house.status()).bazel).toMatchObject({ state: "unattached", rung: "authority" });
    });
  });

  describe("in the keyring, for a Bazel that could only be given a header, which nobody allowed", () => {
    const [bazel] = realBazels();
    const needs = bazel?.available === true ? { timeout: 120_000 } : { skip: true };
    const secret = planted();
    let service: SecretService;
    let house: House;

    beforeAll(async () => {
      if (bazel?.available !== true) return;
      service = await startSecretService();
      house = await House.open(bazel.path, { secret, protocol: "grpc", more: service.env });
    });
    afterAll(async () => {
      await house?.[Symbol.asyncDispose]();
      await service?.[Symbol.asyncDispose]();
    });

    test("is in no file at all, the cache is attached all the same, and Bazel is refused rather than given it", needs, async () => {
      const kept = await house.login(secret);
      expect(kept.exitCode, kept.stderr).toBe(0);
      const processes = watchProcesses(spellings(secret));
      const up = await house.flywheel("up");
      expect(up.exitCode, up.stdout + up.stderr).toBe(0);
      expect((await house.status()).bazel).toMatchObject({ state: "attached", credential: { scheme: "basic" } });
      const run = await house.build("one");
      expect(run.exitCode).toBe(78);
      expect(run.stderr).toContain("--allow-legacy-header");
      await house.askEverything();
      expect(processes.stop()).toEqual([]);
      for (const text of spellings(secret)) expect(house.said.filter((said) => said.includes(text))).toEqual([]);
      expect(filesWith([house.stage.dir, house.root], spellings(secret))).toEqual([]);
    });
  });
});
