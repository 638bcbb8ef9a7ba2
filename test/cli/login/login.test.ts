/** `flywheel login` and `logout` with secrets in files: what is taken, what is kept, and what is refused. */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { CredentialIndex } from "../../../contract/credential.ts";
import { type Home, makeHome, type Ran } from "../flywheel.ts";

let home: Home;
beforeEach(() => {
  home = makeHome();
});
afterEach(() => home.remove());

/** Nothing listens there, so that no test waits for an answer. */
const url = "https://127.0.0.1:1";
const token = "planted-T0ken.of_this~test==";
const indexPath = () => join(home.state, "credentials.json");
const secrets = () => join(home.state, "credentials");
const index = (): CredentialIndex => JSON.parse(readFileSync(indexPath(), "utf8"));
const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);
const login = (args: readonly string[], input = token): Promise<Ran> =>
  home.flywheel(["login", url, "--no-verify", "--store", "file", ...args], { input });

/** A token whose own word is when it ends; its signature is nobody's business here. */
function jwt(exp: number): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "none" })}.${part({ exp })}.c2ln`;
}

/** Every file that was written below the test's home, the secrets' own excepted. */
function written(): string {
  return readdirSync(home.dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.parentPath !== secrets())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), "latin1"))
    .join("\n");
}

describe("a token from standard input", () => {
  test("is kept in a file of one's own, named only by its generation", async () => {
    const ran = await login([], `${token}\n`);
    expect(ran).toMatchObject({ exitCode: 0, stdout: `kept for ${url} (bearer, in a file that only you can read)\n` });
    const { store, entries } = index();
    expect(store).toBe("file");
    expect(entries).toMatchObject([
      { profile: "default", kind: "bazel", endpoint: url, how: { scheme: "bearer", store: "file" }, expires: null, legacyHeader: false },
    ]);
    const file = join(secrets(), entries[0]?.generation ?? "");
    expect(readFileSync(file, "utf8")).toBe(token);
    expect([mode(secrets()), mode(file), mode(indexPath())]).toEqual(["700", "600", "600"]);
    expect(`${written()}${ran.stdout}${ran.stderr}`).not.toContain(token);
  });

  test("replaces the one before: one entry, one file, another generation", async () => {
    await login([]);
    const [before] = index().entries;
    await login([], "another");
    const { entries } = index();
    expect(entries).toHaveLength(1);
    expect(entries[0]?.generation).not.toBe(before?.generation);
    expect(readdirSync(secrets())).toEqual([entries[0]?.generation]);
    expect(readFileSync(join(secrets(), entries[0]?.generation ?? ""), "utf8")).toBe("another");
  });

  test("is another one for another profile, another kind and another endpoint", async () => {
    await login([]);
    await login(["--profile", "lab"]);
    await login(["--kind", "nix"]);
    await home.flywheel(["login", "https://127.0.0.1:2", "--no-verify"], { input: token });
    expect(index().entries.map(({ profile, kind, endpoint }) => [profile, kind, endpoint])).toEqual([
      ["default", "bazel", url],
      ["lab", "bazel", url],
      ["default", "nix", url],
      ["default", "bazel", "https://127.0.0.1:2"],
    ]);
    // The last without --store: the choice is remembered.
    expect(readdirSync(secrets())).toHaveLength(4);
  });

  test.each([
    ["nothing at all", "", "the token is empty"],
    ["two words", "a b", "this is no token that can be sent"],
    ["a header's line", "a\r\nX-Injected: 1", "this is no token that can be sent"],
    ["the scheme with it", `Bearer ${token}`, "this is no token that can be sent"],
    ["far too much", "x".repeat(70_000), "standard input holds more than 64 KiB"],
    ["one too many", "x".repeat(8193), "it has 8193 characters, and at most 8192 are taken"],
  ])("%s is refused, and not repeated", async (_, input, words) => {
    const ran = await login([], input);
    expect(ran.exitCode).toBe(2);
    expect(ran.stderr).toContain(words);
    expect(ran.stderr).not.toContain("X-Injected");
    expect(ran.stderr).not.toContain(token);
    expect(existsSync(indexPath())).toBe(false);
  });
});

describe("when it ends", () => {
  const days = (count: number): number => Math.floor(Date.now() / 1000) + count * 86_400 + 60;

  test("by the token's own word", async () => {
    expect((await login([], jwt(days(3)))).stdout).toContain("; it expires in 3 d");
    expect((await home.flywheel(["login"])).stdout).toMatch(
      /^endpoint +kind +profile +scheme +store +since +expires\n.* bazel +default +bearer +file .* expires in 3 d\n$/,
    );
  });

  test("by one's own word, which is stronger", async () => {
    await login(["--expires", "2199-01-31"], jwt(days(3)));
    expect(index().entries[0]?.expires).toBe("2199-01-31T00:00:00.000Z");
  });

  test("one that has ended is not kept", async () => {
    const ran = await login([], jwt(days(-2)));
    expect(ran.exitCode).toBe(1);
    expect(ran.stderr).toMatch(/nothing was kept: by its own word the token expired 47 h ago/);
    expect(existsSync(secrets())).toBe(false);
  });

  test("and one that ends later is shown as it is then", async () => {
    await login([]);
    const expires = new Date(Date.now() - 2.5 * 3_600_000).toISOString();
    writeFileSync(indexPath(), JSON.stringify({ ...index(), entries: index().entries.map((entry) => ({ ...entry, expires })) }));
    expect((await home.flywheel(["login"])).stdout).toContain("expired 2 h ago");
    expect(JSON.parse((await home.flywheel(["login", "--json"])).stdout)).toMatchObject({
      schema: 1,
      store: "file",
      entries: [{ expires }],
    });
  });

  test("on a day that does not exist is no end", async () => {
    for (const date of ["2127-02-31", "2127-02-29T12:00:00Z", "2127-04-31"]) {
      const ran = await login(["--expires", date]);
      expect([ran.exitCode, ran.stderr]).toEqual([2, expect.stringContaining(`--expires: there is no ${date}`)]);
    }
    expect((await login(["--expires", "2128-02-29"])).exitCode).toBe(0);
  });

  test.each(["tomorrow", "2026-02-30T", "2001-01-01", "31.01.2199"])("--expires %s is refused", async (date) => {
    const ran = await login(["--expires", date]);
    expect(ran.exitCode).toBe(2);
    expect(ran.stderr).toContain(date);
  });
});

describe("a file", () => {
  test("of one's own is read", async () => {
    const file = home.write("token", `${token}\n`, 0o600);
    expect((await login(["--token-file", "token"], "")).exitCode).toBe(0);
    expect(readFileSync(join(secrets(), index().entries[0]?.generation ?? ""), "utf8")).toBe(token);
    expect(readFileSync(file, "utf8")).toBe(`${token}\n`);
  });

  test.each(["604", "640", "666"])("that others may read (0%s) is refused", async (bits) => {
    home.write("token", token, Number.parseInt(bits, 8));
    const ran = await login(["--token-file", "token"], "");
    expect(ran.exitCode).toBe(1);
    expect(ran.stderr).toContain(`is not secret: others may read it (mode 0${bits})`);
    expect(existsSync(indexPath())).toBe(false);
  });

  test("that is not there, or is no file", async () => {
    expect((await login(["--token-file", "token"], "")).stderr).toContain("token cannot be read (ENOENT)");
    mkdirSync(join(home.dir, "token"), { mode: 0o700 });
    expect((await login(["--token-file", "token"], "")).stderr).toContain("token cannot be read (it is no file)");
    expect(existsSync(indexPath())).toBe(false);
  });
});

describe("what cannot be kept", () => {
  test.each(["http://cache.example:1", "grpc://10.0.0.1:9092", "http://100.128.0.1"])("in plain text: %s", async (plain) => {
    const ran = await home.flywheel(["login", plain, "--no-verify", "--store", "file"], { input: token });
    expect([ran.exitCode, ran.stderr.includes("is neither TLS nor on a tailnet")]).toEqual([1, true]);
    expect(existsSync(indexPath())).toBe(false);
  });

  test.each(["grpc://100.64.0.9:9092", "http://cache.tail1234.ts.net:8080", "http://127.0.0.1:1"])(
    "inside a tailnet it may: %s",
    async (plain) => {
      expect((await home.flywheel(["login", plain, "--no-verify", "--store", "file"], { input: token })).exitCode).toBe(0);
    },
  );

  test.each([
    "https://ann:s3cret-pass@cache.example",
    "https://s3cret-pass@cache.example",
    "https://ann:s3cret-pass/x@cache.example",
    "ann:s3cret-pass@cache.example",
    "https://ann:s3cret-pass%40cache.example",
  ])("with a password in the URL, which is not repeated: %s", async (text) => {
    for (const command of ["login", "logout"]) {
      const ran = await home.flywheel([command, text, "--debug"], { input: token });
      expect(ran.exitCode).toBe(1);
      expect(ran.stderr).toContain("the endpoint holds a user or a password");
      expect(`${ran.stdout}${ran.stderr}`).not.toContain("s3cret-pass");
    }
  });

  test("a token in the endpoint's place is not repeated", async () => {
    const ran = await home.flywheel(["login", token]);
    expect([ran.exitCode, ran.stderr.includes("this is no endpoint"), ran.stderr.includes(token)]).toEqual([1, true, false]);
  });

  test("a host alone is told what goes in front of it", async () => {
    const ran = await home.flywheel(["login", "cache.example.org:443"], { input: token });
    expect([ran.exitCode, ran.stderr.includes("grpcs://, grpc://, https:// or http:// in front of the host")]).toEqual([1, true]);
  });

  test.each([
    [["--bearer", "--basic", "--user", "ann"], "give one"],
    [["--basic"], "--basic and --user go together"],
    [["--user", "ann"], "--basic and --user go together"],
    [["--basic", "--user", "a:b"], "a user's name has no colon"],
    [["--kind", "nix", "--basic", "--user", "#ann"], "--user: Nix cannot read this name: it begins with a quote or #"],
    [["--certificate", "c.pem"], "--certificate and --key go together"],
    [["--certificate", "c.pem", "--key", "k.pem"], "a certificate has no token"],
    [["--store", "pocket"], "expected one of keyring, file"],
    [["--kind", "nix", "--allow-legacy-header"], "--allow-legacy-header is about Bazel"],
  ])("%j", async (args, words) => {
    const ran = await login(args);
    expect([ran.exitCode, ran.stderr]).toEqual([2, expect.stringContaining(words)]);
    expect(existsSync(indexPath())).toBe(false);
  });

  test("options without an endpoint", async () => {
    expect(await home.flywheel(["login", "--store", "file"])).toMatchObject({ exitCode: 2 });
  });

  test("over an index that cannot be read, which stays as it is", async () => {
    const file = home.write("state/credentials.json", "{ mine }", 0o600);
    for (const args of [["login", url, "--no-verify", "--store", "file"], ["logout", url], ["login"]]) {
      const ran = await home.flywheel(args, { input: token });
      expect([ran.exitCode, ran.stderr.includes(`${file} cannot be used: it is not JSON`)]).toEqual([1, true]);
    }
    expect(readFileSync(file, "utf8")).toBe("{ mine }");
    expect(existsSync(secrets())).toBe(false);
  });
});

test("a password, with its user", async () => {
  expect((await login(["--basic", "--user", "ann"], "pass:w0rd!\n")).stdout).toContain("(basic, in a file");
  expect(index().entries[0]?.how).toEqual({ scheme: "basic", store: "file", user: "ann" });
  expect((await home.flywheel(["login"])).stdout).toContain("basic (ann)");
});

test.each(["#first", '"quoted'])("a password that a netrc cannot say is refused for Nix alone: %s", async (password) => {
  const ran = await login(["--kind", "nix", "--basic", "--user", "ann"], password);
  expect([ran.exitCode, ran.stderr.includes("Nix cannot read this password"), ran.stderr.includes(password)]).toEqual([2, true, false]);
  expect(await login(["--basic", "--user", "ann"], password)).toMatchObject({ exitCode: 0 });
});

test("a token that curl would drop from a netrc is refused for Nix alone, with its length and the limit", async () => {
  const long = `${"a".repeat(4000)}b`;
  const ran = await login(["--kind", "nix"], long);
  expect([ran.exitCode, ran.stderr]).toEqual([2, expect.stringContaining("Nix cannot read this token: it has 4001 characters")]);
  expect(ran.stderr).toContain("4000 of them");
  expect(existsSync(indexPath())).toBe(false);
  expect(await login(["--kind", "nix"], long.slice(1))).toMatchObject({ exitCode: 0 });
  expect(await login([], long)).toMatchObject({ exitCode: 0 });
});

test("what Bazel makes of a header is said before anything is kept, also where nothing is", async () => {
  const refused = await login(["--allow-legacy-header"], "");
  expect(refused.stderr).toMatch(/^Bazel older than 6\.3 .*build event file.*java\.log.*\n(?:.*\n)*.*the token is empty/);
  const kept = await login(["--allow-legacy-header"]);
  expect([kept.exitCode, kept.stderr.includes("java.log")]).toEqual([0, true]);
  expect(index().entries[0]?.legacyHeader).toBe(true);
});

test("for the profile that config.toml gives the repository here, which is said", async () => {
  const directory = join(home.dir, "work");
  mkdirSync(directory);
  writeFileSync(join(directory, "WORKSPACE"), "");
  home.write("config/config.toml", `[[repositories]]\npath = "${directory}"\nprofile = "lab"\n`);
  const ran = await home.flywheel(["login", url, "--no-verify", "--store", "file"], { input: token, cwd: directory });
  expect([ran.exitCode, ran.stderr]).toEqual([0, expect.stringContaining("profile lab: ")]);
  expect(index().entries).toMatchObject([{ profile: "lab" }]);
});

test("logins at once are all kept, and no secret is left that nobody knows of", async () => {
  const ports = ["1", "2", "3", "4", "5", "6"];
  const ran = await Promise.all(
    ports.map((port) => home.flywheel(["login", `https://127.0.0.1:${port}`, "--no-verify", "--store", "file"], { input: token })),
  );
  expect(ran.map(({ exitCode }) => exitCode)).toEqual(ports.map(() => 0));
  expect(
    index()
      .entries.map(({ endpoint }) => endpoint.slice(-1))
      .toSorted(),
  ).toEqual(ports);
  expect(readdirSync(secrets()).toSorted()).toEqual(
    index()
      .entries.map(({ generation }) => generation)
      .toSorted(),
  );
});

test("what a login left that was killed before the index was written goes with the next; one that is under way stays", async () => {
  await login([]);
  const [old, partly, fresh] = ["a".repeat(32), `${"b".repeat(32)}.12345`, "c".repeat(32)];
  for (const name of [old, partly, fresh, "mine"]) home.write(`state/credentials/${name}`, token, 0o600);
  const before = new Date(Date.now() - 120_000);
  for (const name of [old, partly, "mine"]) utimesSync(join(secrets(), name), before, before);
  await login([]);
  expect(readdirSync(secrets()).toSorted()).toEqual([index().entries[0]?.generation ?? "", fresh, "mine"].toSorted());
});

describe("an index that somebody else could write, and with it say where secrets go, is not believed", () => {
  const other = 65_534;
  test.each<[string, () => void]>([
    ["a state directory that others may write", () => chmodSync(home.state, 0o777)],
    ["a state directory of another user's", () => chownSync(home.state, other, other)],
    ["an index that a group may write", () => chmodSync(indexPath(), 0o660)],
    ["an index of another user's", () => chownSync(indexPath(), other, other)],
  ])("%s", async (_, change) => {
    await login([]);
    change();
    for (const args of [["login"], ["login", "https://127.0.0.1:2", "--no-verify"], ["logout", url]]) {
      const ran = await home.flywheel(args, { input: token });
      expect(ran).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/others may write it|belongs to another user/) });
    }
    expect(index().entries).toHaveLength(1);
    expect(readdirSync(secrets())).toHaveLength(1);
  });

  test("nothing is kept in a state directory that others may write", async () => {
    mkdirSync(home.state);
    chmodSync(home.state, 0o777);
    expect(await login([])).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("others may write it") });
    expect(existsSync(indexPath())).toBe(false);
    expect(readdirSync(secrets())).toEqual([]);
  });
});

test("--json tells the same, and no secret", async () => {
  const ran = await login(["--json"]);
  expect(JSON.parse(ran.stdout)).toMatchObject({ schema: 1, endpoint: url, scheme: "bearer", store: "file", proved: false });
  expect(ran.stdout).not.toContain(token);
});

describe("logout", () => {
  test("removes the secret, the entry, and what tools were given to read", async () => {
    await login([]);
    await home.flywheel(["login", "https://127.0.0.1:2", "--no-verify"], { input: token });
    const [first, second] = index().entries.map(({ generation }) => generation);
    for (const generation of [first, second]) {
      const made = home.write(`run/credentials/${generation}-0123456789abcdef/bazelrc`, token, 0o600);
      chmodSync(join(made, ".."), 0o500);
    }
    for (const directory of ["run", "run/credentials"]) chmodSync(join(home.dir, directory), 0o700);
    expect(await home.flywheel(["logout", url])).toMatchObject({ exitCode: 0, stdout: `logged out of ${url} (bazel)\n`, stderr: "" });
    expect(index().entries.map(({ generation }) => generation)).toEqual([second]);
    expect(readdirSync(secrets())).toEqual([second]);
    expect(readdirSync(join(home.runtime, "credentials"))).toEqual([`${second}-0123456789abcdef`]);
    expect(await home.flywheel(["logout", url])).toMatchObject({ exitCode: 1 });
  });

  test("what tools were given stays in a directory that others may use, and is told with what to type", async () => {
    await login([]);
    const generation = index().entries[0]?.generation ?? "";
    home.write(`run/credentials/${generation}-0123456789abcdef/netrc`, token, 0o600);
    const parent = join(home.runtime, "credentials");
    chmodSync(parent, 0o755);
    const ran = await home.flywheel(["logout", url]);
    expect(ran).toMatchObject({ exitCode: 1, stdout: `logged out of ${url} (bazel)\n` });
    expect(ran.stderr).toContain(`is still in ${parent}: ${parent} is open to other users (mode 0755)`);
    const line = /next: look, then (rm -rf .*)\)/.exec(ran.stderr)?.[1] ?? "false";
    expect(readdirSync(parent)).toHaveLength(1);
    execFileSync("/bin/sh", ["-c", line]);
    expect(readdirSync(parent)).toEqual([]);
    // Nothing of this login is there any more.
    await login([]);
    expect(await home.flywheel(["logout", url])).toMatchObject({ exitCode: 0, stderr: "" });
  });

  test("--all takes those of one profile", async () => {
    await login([]);
    await login(["--kind", "nix"]);
    await login(["--profile", "lab"]);
    const ran = await home.flywheel(["logout", "--all", "--json"]);
    expect(JSON.parse(ran.stdout)).toMatchObject({ schema: 1, forgotten: [{ kind: "bazel" }, { kind: "nix" }], left: [] });
    expect(index().entries.map(({ profile }) => profile)).toEqual(["lab"]);
    // The choice of the store is not a login.
    expect(index().store).toBe("file");
  });

  test("names neither or both", async () => {
    expect(await home.flywheel(["logout"])).toMatchObject({ exitCode: 2 });
    expect(await home.flywheel(["logout", url, "--all"])).toMatchObject({ exitCode: 2 });
  });
});

describe("a client certificate", () => {
  /** A certificate with its key (PKCS#8), and keys that it cannot do with. */
  function make(): void {
    const openssl = (...args: string[]): void => void execFileSync("openssl", args, { cwd: home.dir, stdio: "ignore" });
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "me.key", "-out", "me.pem", "-days", "5", "-subj", "/CN=me");
    openssl("genpkey", "-algorithm", "RSA", "-out", "other.key");
    openssl("rsa", "-in", "me.key", "-traditional", "-out", "old.key");
    openssl("pkcs8", "-topk8", "-in", "me.key", "-out", "locked.key", "-passout", "pass:x");
    for (const name of ["me.key", "other.key", "old.key", "locked.key"]) chmodSync(join(home.dir, name), 0o600);
  }
  const withKey = (key: string, certificate = "me.pem") =>
    home.flywheel(["login", "grpcs://127.0.0.1:1", "--no-verify", "--certificate", certificate, "--key", key]);

  test("is kept as two paths, with its own end; no secret is copied", async () => {
    make();
    const ran = await withKey("me.key");
    // Of the 5 days that it was made for, a part of a second is over.
    expect(ran.stdout).toBe("kept for grpcs://127.0.0.1:1 (mtls, where its files are); it expires in 4 d\n");
    expect(index().entries[0]?.how).toEqual({ scheme: "mtls", certificate: join(home.dir, "me.pem"), key: join(home.dir, "me.key") });
    expect(existsSync(secrets())).toBe(false);
    await home.flywheel(["logout", "grpcs://127.0.0.1:1"]);
    expect(existsSync(join(home.dir, "me.key"))).toBe(true);
  });

  test("with what no tool could use is refused", async () => {
    make();
    expect((await withKey("other.key")).stderr).toContain("it is not the key of");
    expect((await withKey("locked.key")).stderr).toContain("the key is encrypted");
    expect((await withKey("old.key")).stderr).toContain("openssl pkcs8 -topk8 -nocrypt");
    expect((await withKey("me.pem")).stderr).toContain("others may read it");
    expect((await withKey("me.key", "me.key")).stderr).toContain("it holds no certificate in PEM");
    chmodSync(join(home.dir, "me.key"), 0o640);
    expect((await withKey("me.key")).stderr).toContain("others may read it (mode 0640)");
    expect(existsSync(indexPath())).toBe(false);
  });

  test("that has ended is refused", async () => {
    make();
    execFileSync("openssl", ["x509", "-in", "me.pem", "-signkey", "me.key", "-out", "past.pem", "-days", "-1"], {
      cwd: home.dir,
      stdio: "ignore",
    });
    expect((await withKey("me.key", "past.pem")).stderr).toMatch(/the certificate (expired .* ago|is valid only in)/);
  });

  test("is nothing for Nix, and nothing for plain text", async () => {
    make();
    const args = ["--certificate", "me.pem", "--key", "me.key"];
    expect((await home.flywheel(["login", "--kind", "nix", "https://x.example", ...args])).stderr).toContain(
      "a netrc, which holds no certificate",
    );
    expect((await home.flywheel(["login", "http://127.0.0.1:1", ...args])).stderr).toContain("is not TLS");
  });
});

describe.runIf(process.geteuid?.() === 0)("as a user of no privilege", () => {
  const nobody = 65_534;
  /** `flywheel` as that user, whose home this is. */
  const asNobody = (args: readonly string[], input = token) =>
    execa(process.execPath, [join(import.meta.dirname, "../../../cli/main.ts"), ...args], {
      ...{ cwd: home.dir, env: { ...home.env, XDG_CACHE_HOME: home.dir }, extendEnv: false, input },
      ...{ uid: nobody, gid: nobody, reject: false, timeout: 30_000 },
    });
  const keepOne = () => asNobody(["login", url, "--no-verify", "--store", "file"]);
  beforeEach(() => chownSync(home.dir, nobody, nobody));

  /** Reads the secret of the only entry, as the daemon does. */
  async function readBack(): Promise<string> {
    const script = `
      const { fileVault } = await import(${JSON.stringify(join(import.meta.dirname, "../../../daemon/api/client/credentials/files.ts"))});
      const paths = { config: "/none", state: process.env.GF_STATE_DIR, runtime: "/none" };
      const told = await fileVault(paths).read(process.argv[1]).then((secret) => secret?.reveal() ?? "none", (error) => error.message + "|" + error.next);
      process.stdout.write(told);`;
    const args = ["--input-type=module", "--disable-warning=ExperimentalWarning", "-e", script, index().entries[0]?.generation ?? ""];
    const ran = await execa(process.execPath, args, { cwd: "/", env: home.env, extendEnv: false, uid: nobody, gid: nobody });
    return ran.stdout;
  }

  test("keeps and reads back; opened to others or owned by another it is not used", async () => {
    expect(await keepOne()).toMatchObject({ exitCode: 0 });
    const file = join(secrets(), index().entries[0]?.generation ?? "");
    expect([mode(secrets()), mode(file), statSync(file).uid]).toEqual(["700", "600", nobody]);
    expect(await readBack()).toBe(token);
    chmodSync(file, 0o640);
    expect(await readBack()).toBe(`${file} cannot be used: others may read it (mode 0640)|chmod 600 ${file}`);
    chmodSync(file, 0o600);
    chmodSync(secrets(), 0o755);
    expect(await readBack()).toContain(`${secrets()} is open to other users (mode 0755)`);
    chmodSync(secrets(), 0o700);
    expect(await readBack()).toBe(token);
    chownSync(file, 1, 1);
    chmodSync(file, 0o644);
    expect(await readBack()).toMatch(/it belongs to another user \(uid 1\)\|flywheel login <endpoint>$/);
    chownSync(file, nobody, nobody);
    chmodSync(file, 0o600);
    chownSync(secrets(), 1, 1);
    chmodSync(secrets(), 0o755);
    expect(await readBack()).toMatch(/belongs to another user \(uid 1\)\|set GF_STATE_DIR to a directory of your own$/);
    renameSync(secrets(), `${secrets()}-2`);
    symlinkSync(`${secrets()}-2`, secrets());
    expect(await readBack()).toMatch(/is a symbolic link\|rm \S+, or set GF_STATE_DIR to a directory of your own$/);
  });

  test("where the state directory cannot be written, nothing is kept and the secret is nowhere", async () => {
    mkdirSync(home.state, { mode: 0o755 });
    const ran = await keepOne();
    expect(ran.exitCode).toBe(1);
    expect(ran.stderr).toContain("cannot be used: EACCES");
    expect(`${ran.stdout}${ran.stderr}${written()}`).not.toContain(token);
    expect(readdirSync(home.state)).toEqual([]);
  });

  test("where the index cannot be written, the secret that was written first is taken away again", async () => {
    mkdirSync(secrets(), { recursive: true, mode: 0o700 });
    for (const made of [home.state, secrets()]) chownSync(made, nobody, nobody);
    chmodSync(home.state, 0o500);
    const ran = await keepOne();
    expect(ran.exitCode).toBe(1);
    expect(ran.stderr).toMatch(/credentials\.json cannot be used: it cannot be written \((?:EACCES|unable to open database file)\)/);
    expect(readdirSync(secrets())).toEqual([]);
  });

  test("a token's file of another user is refused", async () => {
    writeFileSync(join(home.dir, "token"), token, { mode: 0o604 });
    chownSync(join(home.dir, "token"), 1, 1);
    const ran = await asNobody(["login", url, "--no-verify", "--store", "file", "--token-file", "token"]);
    expect([ran.exitCode, ran.stderr.includes("it belongs to another user (uid 1)")]).toEqual([1, true]);
    expect(ran.stderr).toContain(`next: use a file of your own (0600), or: sudo chown ${nobody} ${join(home.dir, "token")}; and think`);
    expect(ran.stderr).not.toContain("chmod");
  });
});
